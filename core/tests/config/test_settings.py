"""Settings: what each may be, and the table that documentation shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from perdure.config import Settings, WorkerSettings, describe_settings
from perdure.config._settings import RULES
from perdure.errors import Misuse


def keys_of(settings: type[Settings | WorkerSettings]) -> set[str]:
    return {field.name for field in dataclasses.fields(settings)}


def test_every_setting_has_a_rule_a_meaning_and_a_row() -> None:
    keys = (keys_of(Settings) - {"worker"}) | {f"worker.{name}" for name in keys_of(WorkerSettings)}

    rows = {row.key: row for row in describe_settings()}
    assert set(rows) == keys == set(RULES)
    assert all(row.meaning.endswith(".") and row.allowed for row in rows.values())


def test_a_row_tells_everything_about_a_setting() -> None:
    (row,) = [row for row in describe_settings() if row.key == "worker.turns_max"]

    assert row.env_var == "PERDURE_WORKER_TURNS_MAX"
    assert (row.type, row.default) == ("whole number", 256)
    assert row.allowed == "a whole number from 1 to 100,000"
    assert row.meaning == "Most instances in work at once."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activities_max", 0),
        ("activities_max", True),
        ("threads_max", 1_001),
        ("turns_max", 2.0),
        ("cache_instances", -1),
        ("cache_bytes", "64 MiB"),
        ("lease_seconds", 0),
        ("lease_seconds", float("nan")),
        ("drain_seconds", float("inf")),
        ("turn_seconds_max", "10"),
        ("turn_seconds_max", True),
        ("replay_check", "sometimes"),
        ("turns", "default"),
        ("tasks", ["mail", "mail"]),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_range(name: str, value: object) -> None:
    settings: dict[str, Any] = {name: value}

    with pytest.raises(Misuse) as refused:
        WorkerSettings(**settings)

    assert str(refused.value) == f"WorkerSettings.{name} is {value!r}: give {RULES[f'worker.{name}'].allowed}."


@pytest.mark.parametrize(
    ("value", "complaint"), [(1, "is text, not int"), ("", "1 to 200 characters"), ("a\0", "control")]
)
def test_a_queue_name_that_can_be_none_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(Misuse, match=rf"WorkerSettings\.turns: .*{complaint}"):
        WorkerSettings(turns=(value,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("activities_max", 1, 100_000),
        ("threads_max", 1, 1_000),
        ("turns_max", 1, 100_000),
        ("cache_instances", 0, 1_000_000),
        ("cache_bytes", 0, 2**40),
        ("lease_seconds", 0.1, 43_200),
        ("drain_seconds", 0, 3_600),
        ("turn_seconds_max", 0.1, 600),
    ],
)
def test_both_ends_of_a_range_are_allowed(name: str, low: float, high: float) -> None:
    for value in (low, high):
        settings: dict[str, Any] = {name: value}
        assert getattr(WorkerSettings(**settings), name) == value


def test_values_come_out_in_their_proper_types() -> None:
    settings = WorkerSettings(lease_seconds=30, turns=["a", "b"])  # type: ignore[arg-type]

    assert settings.turns == ("a", "b")
    assert isinstance(settings.lease_seconds, float)


def test_a_worker_may_serve_one_kind_of_queue_but_not_none() -> None:
    assert WorkerSettings(tasks=()).tasks == ()
    with pytest.raises(Misuse, match="serves nothing"):
        WorkerSettings(turns=(), tasks=())


def test_a_hub_is_a_url() -> None:
    with pytest.raises(Misuse, match=r"Settings\.hub './hub' has no scheme"):
        Settings(hub="./hub")


def test_the_store_is_the_hub_unless_it_is_named() -> None:
    assert Settings(hub="memory:").store_url == "memory:"
    assert Settings(hub="memory:", store="sqlite:x").store_url == "sqlite:x"
