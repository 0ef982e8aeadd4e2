"""What comes with perdure-local."""

from __future__ import annotations

from importlib.metadata import entry_points, requires


def test_the_local_provider_is_found_as_a_plugin() -> None:
    (found,) = entry_points(group="perdure", name="sqlite")

    assert found.load().__name__ == "perdure_local"


def test_it_depends_on_core_only() -> None:
    assert [requirement.partition(">")[0] for requirement in requires("perdure-local") or []] == ["perdure-core"]
