from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from perdure.authoring import Registry, activity, collect, orchestration
from perdure.errors import Misuse


@activity
def issue(order: int) -> int:
    return order


@activity(name="remind")
def send_reminder(order: int) -> int:
    return order


@orchestration
async def invoicing(order: int) -> int:
    return order


@orchestration(name="invoicing", version="9")
async def invoicing_9(order: int) -> int:
    return order + 9


@orchestration(name="invoicing", version="10")
async def invoicing_10(order: int) -> int:
    return order + 10


ALL = [issue, send_reminder, invoicing, invoicing_10, invoicing_9]


def test_an_activity_is_found_by_its_recorded_name() -> None:
    assert Registry(ALL).activity("remind") is send_reminder
    assert Registry(ALL).find_activity("issue") is issue


def test_an_orchestration_without_a_version_asked_is_the_newest() -> None:
    assert Registry(ALL).orchestration("invoicing") is invoicing_10
    assert Registry([invoicing, invoicing_9]).orchestration("invoicing") is invoicing_9
    assert Registry([invoicing]).orchestration("invoicing") is invoicing


def test_an_orchestration_of_a_version_is_exactly_that_one() -> None:
    assert Registry(ALL).orchestration("invoicing", "9") is invoicing_9
    assert Registry(ALL).find_orchestration("invoicing", "9") is invoicing_9


def test_numbers_in_versions_count_as_numbers() -> None:
    versions = ["2.10", "1", "2.9", "2", "v1", "10-beta", "10"]
    registry = Registry(orchestration(name="o", version=version)(invoicing.fn) for version in [*versions])

    ordered = [one.version for one in registry.orchestrations()]
    assert ordered == ["v1", "1", "2", "2.9", "2.10", "10", "10-beta"]


def test_what_is_unknown_is_found_as_none() -> None:
    """A worker passes such work on."""
    registry = Registry(ALL)

    assert registry.find_activity("nothing") is None
    assert registry.find_orchestration("nothing") is None
    assert registry.find_orchestration("invoicing", "11") is None


def test_names_are_listed_once_and_sorted() -> None:
    assert Registry(ALL).names() == ("invoicing", "issue", "remind")
    assert Registry(ALL).activities() == (issue, send_reminder)
    assert Registry(ALL).orchestrations() == (invoicing, invoicing_9, invoicing_10)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda registry: registry.activity("isue"), "No activity is named 'isue'; the nearest is 'issue'."),
        (lambda registry: registry.activity("xyz"), "No activity is named 'xyz'; there are: ['issue', 'remind']."),
        (lambda registry: registry.orchestration("invoice"), "is named 'invoice'; the nearest is 'invoicing'."),
        (lambda registry: registry.orchestration("invoicing", "3"), "no version '3' here; there are: None, '9', '10'."),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest(ask: Any, words: str) -> None:
    with pytest.raises(Misuse) as refused:
        ask(Registry(ALL))
    assert words in str(refused.value)


def test_an_empty_registry_says_that_it_is() -> None:
    with pytest.raises(Misuse, match="No activity is named 'a'; there is none at all"):
        Registry([]).activity("a")


def test_the_same_definition_twice_counts_once() -> None:
    assert Registry([issue, issue, issue.options(queue="gpu")]).activities() == (issue,)


def test_two_activities_of_one_name_are_refused_with_both_locations() -> None:
    @activity(name="issue")
    def other() -> None: ...

    with pytest.raises(Misuse) as refused:
        Registry([issue, other])
    message = str(refused.value)
    assert issue.location in message
    assert other.location in message
    assert issue.location != other.location
    assert "'issue'" in message


def test_two_orchestrations_of_one_name_and_version_are_refused_with_both_locations() -> None:
    other = orchestration(name="invoicing", version="9")(invoicing.fn)

    with pytest.raises(Misuse) as refused:
        Registry([invoicing_9, other])
    assert other.location in str(refused.value)
    assert "another version=" in str(refused.value)


def test_an_activity_and_an_orchestration_may_share_a_name() -> None:
    registry = Registry([activity(name="invoicing")(issue.fn), invoicing])

    assert registry.activity("invoicing").fn is issue.fn
    assert registry.orchestration("invoicing") is invoicing


@pytest.mark.parametrize("thing", [issue.fn, 3, "text"])
def test_what_is_no_definition_is_refused_with_its_value(thing: Any) -> None:
    with pytest.raises(Misuse, match="neither an activity nor an orchestration"):
        Registry([thing])


def test_a_module_is_searched_for_its_definitions_in_order_and_once_each() -> None:
    module = ModuleType("app")
    vars(module).update(b=invoicing, a=issue, again=issue, Registry=Registry, number=3)

    assert collect(module) == [invoicing, issue]


# ---- the version of the code -----------------------------------------------------------------------------------------

SOURCE = """
from perdure.authoring import Registry, activity, orchestration
{prefix}
@activity
def issue(order): return {activity}

@orchestration
async def invoicing(order):
    pick = lambda: order in {{"a", "b", "c", "d"}}
    return [await issue({argument}) for _ in range(2) if pick()]

print(Registry([invoicing, issue]).code_version)
"""


def version_of(seed: int = 0, **parts: str) -> str:
    """Compile and register in a process of its own, where addresses and the order of sets differ."""
    source = SOURCE.format(**{"prefix": "", "activity": "1", "argument": "order", **parts})
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_the_code_version_is_the_same_in_every_process_and_wherever_the_code_stands() -> None:
    first = version_of(seed=1)

    assert len(first) == 12
    assert int(first, 16) >= 0
    assert version_of(seed=2, prefix="\n\n\n") == first


def test_the_code_version_changes_with_a_constant_and_with_a_name_in_nested_code() -> None:
    assert (
        len({version_of(), version_of(argument="5"), version_of(argument="order.id"), version_of(argument="order.no")})
        == 4
    )


def test_the_code_version_changes_with_a_member_of_a_set() -> None:
    async def one(order: str) -> bool:
        return order in {"a", "b"}

    async def other(order: str) -> bool:
        return order in {"a", "c"}

    assert (
        Registry([orchestration(name="o")(one)]).code_version != Registry([orchestration(name="o")(other)]).code_version
    )


def test_the_code_version_changes_with_an_operator() -> None:
    async def one(order: int) -> int:
        return order + order

    async def other(order: int) -> int:
        return order - order

    assert (
        Registry([orchestration(name="o")(one)]).code_version != Registry([orchestration(name="o")(other)]).code_version
    )


def test_the_code_version_does_not_change_with_an_activity() -> None:
    assert version_of(activity="2") == version_of()


def test_the_code_version_changes_with_what_is_registered_and_not_with_its_order() -> None:
    assert Registry([invoicing, invoicing_9]).code_version == Registry([invoicing_9, invoicing]).code_version
    assert Registry([invoicing]).code_version != Registry([invoicing, invoicing_9]).code_version
    renamed = orchestration(name="other")(invoicing.fn)
    assert Registry([renamed]).code_version != Registry([invoicing]).code_version
