"""Finding providers: what is imported, what is refused, and what is said about it."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from perdure.config import parse_location
from perdure.errors import Misuse
from perdure.hub import _plugins
from perdure.hub._plugins import (
    NATURAL_QUEUES,
    QUEUES,
    STORES,
    Plugins,
    find_committer,
    find_queue,
    find_store,
    installed_providers,
    natural_queue,
)
from perdure.spi import Environment, OutboxCommitter, StoreCapabilities, SystemClock, SystemEntropy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REAL = Environment(SystemClock(), SystemEntropy())

OFFERS = """
    import perdure.spi

    @perdure.spi.provider
    def perdure_stores():
        return {stores}

    @perdure.spi.provider
    def perdure_queues():
        return {queues}
"""

NATURAL = """
    @perdure.spi.provider
    def perdure_natural_queues():
        return {'sss': 'qqq:{rest}'}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path where a test installs distributions."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def install(site: Path, request: pytest.FixtureRequest) -> Callable[[str, dict[str, str], str], None]:
    """Give what installs a distribution of one module: (its name, entry point → module, the module's source)."""

    def put(distribution: str, entry_points: dict[str, str], source: str) -> None:
        info = site / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n", "utf-8")
        lines = [f"{name} = {module}" for name, module in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[perdure]", *lines]), "utf-8")
        for module in set(entry_points.values()):
            (site / f"{module}.py").write_text(textwrap.dedent(source), "utf-8")
            request.addfinalizer(functools.partial(sys.modules.pop, module, None))

    return put


def open_site(site: Path) -> Plugins:
    """Look at what is installed in the folder alone."""
    found = metadata.MetadataPathFinder.find_distributions(metadata.DistributionFinder.Context(path=[str(site)]))
    return Plugins([point for distribution in found for point in distribution.entry_points])


def offers(stores: str = "{}", queues: str = "{}") -> str:
    return OFFERS.format(stores=stores, queues=queues)


def test_only_the_plugin_that_the_scheme_names_is_imported(site: Path, install: Callable[..., None]) -> None:
    """An application on SQLite must not pay for a cloud's SDK that happens to be installed, nor fail with it."""
    install("acme-one", {"one": "acme_one"}, offers(stores="{'one': int}"))
    install("acme-two", {"two": "acme_two"}, offers(stores="{'two': int}"))

    assert open_site(site).find(STORES, "one") is int
    assert "acme_two" not in sys.modules


def test_importing_a_hub_imports_no_provider() -> None:
    program = "import sys, perdure.hub; print('perdure.memory' in sys.modules, 'perdure_local' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


def test_several_entry_points_may_name_one_module(site: Path, install: Callable[..., None]) -> None:
    install("acme", {"sss": "acme_cloud", "qqq": "acme_cloud"}, offers("{'sss': int}", "{'qqq': str}"))
    plugins = open_site(site)

    assert plugins.find(STORES, "sss") is int
    assert plugins.find(QUEUES, "qqq") is str


def test_a_scheme_that_no_entry_point_is_called_by_is_looked_for_in_all(
    site: Path, install: Callable[..., None]
) -> None:
    install("acme", {"backend": "acme_backend"}, offers("{'sss': int}"))
    install("broken", {"broken": "broken_backend"}, "import nowhere_to_be_found")

    assert open_site(site).find(STORES, "sss") is int


def test_a_plugin_that_cannot_be_imported_is_named_where_it_is_needed(site: Path, install: Callable[..., None]) -> None:
    install("broken", {"sss": "broken_backend"}, "import nowhere_to_be_found")

    with pytest.raises(Misuse, match=r"'sss' \(broken_backend\) of broken cannot be used: ModuleNotFoundError: No mod"):
        open_site(site).find(STORES, "sss")
    with pytest.raises(Misuse, match=r"No provider of other: is installed.*Besides: .*nowhere_to_be_found"):
        open_site(site).find(STORES, "other")


def test_two_distributions_of_one_scheme_are_both_named(site: Path, install: Callable[..., None]) -> None:
    install("acme", {"sss": "acme_sss"}, offers("{'sss': int}"))
    install("other", {"sss": "other_sss"}, offers("{'sss': str}"))

    with pytest.raises(Misuse, match="sss: is offered by acme and by other: uninstall all but one"):
        open_site(site).find(STORES, "sss")
    assert "acme_sss" not in sys.modules


def test_two_distributions_of_one_scheme_under_other_names_are_both_named(
    site: Path, install: Callable[..., None]
) -> None:
    install("acme", {"x": "acme_sss"}, offers("{'sss': int}"))
    install("other", {"y": "other_sss"}, offers("{'sss': str}"))

    with pytest.raises(Misuse, match="sss: is offered by acme and by other: uninstall all but one"):
        open_site(site).find(STORES, "sss")


def test_a_misspelt_hook_is_named_with_the_right_one(site: Path, install: Callable[..., None]) -> None:
    source = "import perdure.spi\n\n@perdure.spi.provider\ndef perdure_store():\n    return {'sss': int}\n"
    install("acme", {"sss": "acme_sss"}, source)

    with pytest.raises(Misuse, match=r"of acme cannot be used: .*perdure_store'.* Did you mean 'perdure_stores'\?"):
        open_site(site).find(STORES, "sss")


def test_a_hook_of_which_the_mark_is_missing_is_explained(site: Path, install: Callable[..., None]) -> None:
    install("acme", {"sss": "acme_sss"}, "def perdure_stores():\n    return {'sss': int}\n")

    with pytest.raises(Misuse, match=r"'sss' \(acme_sss\) of acme offers nothing for sss: .* @perdure\.spi\.provider"):
        open_site(site).find(STORES, "sss")


@pytest.mark.parametrize("answer", ["1 / 0", "None"])
def test_a_hook_that_fails_is_explained(site: Path, install: Callable[..., None], answer: str) -> None:
    install("acme", {"sss": "acme_sss"}, offers(answer))

    with pytest.raises(Misuse, match=r"of acme cannot be used: (ZeroDivision|Attribute)Error"):
        open_site(site).find(STORES, "sss")


def test_a_store_is_no_queue(site: Path, install: Callable[..., None]) -> None:
    install("acme", {"sss": "acme_sss"}, offers("{'sss': int}"))
    plugins = open_site(site)

    with pytest.raises(Misuse, match="sss: is a store and no queue: name the queue apart"):
        plugins.find(QUEUES, "sss")
    with pytest.raises(Misuse, match="No queue goes naturally with sss: — name one apart: queue=URL"):
        plugins.find(NATURAL_QUEUES, "sss")


@pytest.mark.parametrize(
    ("scheme", "mend"),
    [
        ("memry", r"Did you mean 'memory'\?"),
        ("zzz", "Installed: .*memory"),
    ],
)
def test_an_unknown_scheme_is_answered_with_the_mend(scheme: str, mend: str) -> None:
    with pytest.raises(Misuse, match=f"No provider of {scheme}: is installed.*{mend}"):
        find_store(parse_location(f"{scheme}:x"))


@pytest.mark.parametrize(("scheme", "package"), [("s3", "perdure-aws"), ("servicebus", "perdure-azure")])
def test_a_scheme_of_ours_that_is_not_installed_names_its_package(scheme: str, package: str) -> None:
    with pytest.raises(Misuse, match=rf"It comes with {package}: pip install --upgrade {package}\."):
        Plugins([]).find(STORES, scheme)


def test_the_memory_provider_is_found_with_its_queue_and_its_committer() -> None:
    location = parse_location("memory:")

    store = find_store(location)(location, REAL)
    assert natural_queue(location, location.url) == "memory:"
    queue = find_queue(location)(location, REAL)
    assert type(find_committer(store, queue, REAL)).__name__ == "MemoryCommitter"


def test_the_queue_of_another_scheme_has_the_same_place_and_options(
    site: Path, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", {"sss": "acme_sss"}, offers("{'sss': int}") + NATURAL)
    monkeypatch.setattr(_plugins, "_installed", lambda: open_site(site))

    location = parse_location("sss://bucket/prefix?region=eu")
    assert natural_queue(location, location.url) == "qqq://bucket/prefix?region=eu"


def test_where_nobody_offers_a_committer_the_outbox_one_is_used() -> None:
    location = parse_location("memory:")
    store = find_store(location)(location, REAL)

    assert isinstance(find_committer(store, None, REAL), OutboxCommitter)  # type: ignore[arg-type]


def test_what_is_installed_is_listed_with_what_it_can_do() -> None:
    infos, problems = installed_providers()

    memory = {info.kind: info for info in infos if info.scheme == "memory"}
    assert "perdure-core" not in {problem.distribution for problem in problems}
    assert memory["store"].distribution == memory["queue"].distribution == "perdure-core"
    assert memory["store"].version == metadata.version("perdure-core")
    assert isinstance(memory["store"].capabilities, StoreCapabilities)
    assert isinstance(memory["queue"].capabilities, dict)
    assert set(memory["queue"].capabilities) == {"turns", "tasks"}


def test_a_plugin_that_cannot_be_used_is_listed_with_its_problem(site: Path, install: Callable[..., None]) -> None:
    install("broken", {"sss": "broken_backend"}, "import nowhere_to_be_found")
    install("acme", {"ttt": "acme_ttt"}, offers("{'ttt': int}"))
    plugins = open_site(site)

    problems = plugins.load_all()

    assert [offer.scheme for offer in plugins.offers] == ["ttt"]
    assert "No module named 'nowhere_to_be_found'" in str(problems["broken"])
