from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import pytest

from perdure.authoring import Event
from perdure.errors import Misuse, NotInOrchestration

if TYPE_CHECKING:
    from decimal import Decimal as Unseen


@dataclass
class Payment:
    amount: int


annotated: Event[Payment] = Event("annotated")
quoted: Event["Payment"] = Event("quoted")  # noqa: UP037 - text inside an annotation that is text.
final: Final[Event[int]] = Event("final")
optional: Event[Payment | None] = Event("optional")
early: Event[Later] = Event("early")
given = Event("given", Payment)
subscripted = Event[Payment]("subscripted")
subscripted_text = Event["Later"]("subscripted_text")
bare: Event = Event("bare")  # type: ignore[type-arg]
free: Event[Any] = Event("free")
unseen: Event[Unseen] = Event("unseen")
unsupported: Event[complex] = Event("unsupported")


@dataclass
class Later:
    number: int


@dataclass
class Price:
    amount: Unseen


unseen_inside: Event[Price] = Event("unseen_inside")


class Signals:
    approval: ClassVar[Event[Payment]] = Event("approval")


@pytest.mark.parametrize(
    "event", [annotated, quoted, given, subscripted, Signals.approval, optional], ids=lambda event: str(event.name)
)
def test_the_type_is_found_wherever_it_is_written(event: Event[Payment]) -> None:
    assert event.decode(event.encode(Payment(3))) == Payment(3)
    with pytest.raises(Misuse, match=rf"The payload of event '{event.name}' does not fit .*`payload\.amount`"):
        event.encode(Payment("three"))  # type: ignore[arg-type]


def test_a_final_event_has_its_type() -> None:
    assert final.decode(final.encode(3)) == 3
    with pytest.raises(Misuse, match=r"does not fit int: .* The value is 'x'"):
        final.encode("x")  # type: ignore[arg-type]


def test_a_type_may_be_defined_after_the_event() -> None:
    assert early.decode(early.encode(Later(3))) == Later(3)
    assert subscripted_text.decode(subscripted_text.encode(Later(3))) == Later(3)


@pytest.mark.parametrize("event", [bare, free], ids=lambda event: str(event.name))
def test_an_event_without_a_type_takes_anything_plain(event: Event[Any]) -> None:
    assert event.decode(event.encode({"a": [1]})) == {"a": [1]}


def test_an_event_made_inside_a_function_has_the_type_that_it_is_given() -> None:
    local: Event[int] = Event("local")
    typed = Event("typed", int)

    assert local.decode(local.encode("anything")) == "anything"  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(Misuse, match="does not fit int"):
        typed.encode("anything")  # type: ignore[arg-type]


def test_a_type_that_only_checkers_see_is_refused_at_the_first_use_with_its_name() -> None:
    with pytest.raises(Misuse, match=r"event 'unseen' cannot be resolved: name 'Unseen' .* Event\('unseen', Type\)"):
        unseen.encode(1)  # type: ignore[arg-type]


def test_a_type_whose_own_fields_cannot_be_resolved_is_refused_at_the_first_use_with_the_name() -> None:
    with pytest.raises(Misuse, match="event 'unseen_inside' cannot be resolved: name 'Unseen' is not defined"):
        unseen_inside.encode(1)  # type: ignore[arg-type]


def test_a_type_that_cannot_be_recorded_is_refused_with_its_name() -> None:
    with pytest.raises(Misuse, match="The payload of event 'unsupported' is annotated complex"):
        unsupported.encode(1j)
    with pytest.raises(Misuse, match="The payload of event 'x' is annotated complex"):
        Event("x", complex)


@pytest.mark.parametrize("name", ["", "a\nb", 3, None])
def test_an_impossible_name_is_refused_with_its_value(name: Any) -> None:
    with pytest.raises(Misuse) as refused:
        Event(name, int)
    assert repr(name) in str(refused.value)


async def test_awaiting_outside_an_orchestration_is_refused() -> None:
    with pytest.raises(NotInOrchestration, match="Event 'annotated' is awaited outside an orchestration"):
        await annotated()


def test_a_wait_that_is_never_awaited_is_a_warning_with_its_name() -> None:
    with pytest.warns(RuntimeWarning, match="event 'annotated' was never awaited"):
        annotated()


def test_a_payload_of_json_becomes_the_type() -> None:
    assert annotated.convert({"amount": 3}) == Payment(3)
    with pytest.raises(Misuse, match=r"`payload\.amount`"):
        annotated.convert({"amount": "x"})


def test_a_payload_that_does_not_fit_is_a_misuse_on_arrival() -> None:
    with pytest.raises(Misuse, match="The payload of event 'annotated' does not fit Payment"):
        annotated.decode(msgspec.msgpack.encode("x"))


def test_it_shows_its_name() -> None:
    assert repr(annotated) == "<event 'annotated'>"
