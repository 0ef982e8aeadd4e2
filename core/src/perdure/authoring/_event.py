"""External events: values that somebody sends to a running instance, typed at both ends."""

from __future__ import annotations

import sys
import typing
from typing import Any, Generic, TypeVar

from perdure.authoring._data import ValueCodec
from perdure.errors import Misuse, NotInOrchestration
from perdure.ids import check_name
from perdure.replay import Call, ReplayLoop

if typing.TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Iterator, Mapping

__all__ = ["Event", "EventWait"]

T = TypeVar("T")


class Event(Generic[T]):
    """A kind of message that instances wait for: `payment: Event[Payment] = Event("payment")`.

    In an orchestration `await payment()` gives the next one that was sent, in the order of arrival, whether it came
    before or after the wait. Declare each event once, at the top of a module, and use it to send too.

    Attributes:
        name: Under which events are recorded; sender and receiver must agree on it.
    """

    _owner: type | None = None

    def __init__(self, name: str, type: type[T] | None = None) -> None:
        """Declare an event. A name or a type that cannot be recorded raises `Misuse`.

        Args:
            name: Under which it is recorded.
            type: Of its payload. If it is not given, it is found in the annotation of the variable that holds the
                event; without one either, payloads are not checked.
        """
        self.name = check_name(name, what="event")
        self._codec = None if type is None else self._codec_of(type)
        self._scope = _calling_module()

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = owner

    def __call__(self) -> Call[T]:
        """Prepare to wait for the next one.

        Awaiting raises `NotInOrchestration` outside an orchestration, and `Misuse` if what arrived does not fit the
        type; that one is used up, the next wait gets the next.
        """
        return EventWait(self)

    def __repr__(self) -> str:
        return f"<event {self.name!r}>"

    def encode(self, value: T) -> bytes:
        """Write a payload; if it does not fit the type, `Misuse` says where."""
        return self._ready().encode(value)

    def decode(self, payload: bytes) -> T:
        """Read a payload; `Misuse` if it does not fit the type: the sender has another idea of this event."""
        value: T = self._ready().decode(payload)
        return value

    def convert(self, value: object) -> T:
        """Make a payload from a value of JSON; if it does not fit the type, `Misuse` says where."""
        payload: T = self._ready().convert(value)
        return payload

    def _ready(self) -> ValueCodec:
        if self._codec is None:
            # Not before the first use: the variable gets its value, and the module its other names, after __init__.
            self._codec = self._codec_of(self._declared_type())
        return self._codec

    def _codec_of(self, type: Any) -> ValueCodec:
        try:
            return ValueCodec(type, subject=f"The payload of event {self.name!r}", root="payload")
        except NameError as exc:
            raise self._unresolved(exc) from exc

    def _declared_type(self) -> Any:
        try:
            for hint in map(_bare, self._hints()):
                if typing.get_origin(hint) is Event:
                    return typing.get_args(hint)[0]
        except (NameError, AttributeError) as exc:
            raise self._unresolved(exc) from exc
        return Any

    def _hints(self) -> Iterator[Any]:
        """Resolve only the annotations that speak of this event: others of the module may have no meaning yet."""
        made_by = getattr(self, "__orig_class__", None)  # Event[Payment]("payment")
        if made_by is not None:
            yield _resolved(made_by, self._scope)
        class_scope: Mapping[str, Any] = vars(self._owner) if self._owner else {}
        for holder in (class_scope, self._scope):
            for name, annotation in holder.get("__annotations__", {}).items():
                if holder.get(name) is self:
                    yield _resolved(annotation, self._scope)

    def _unresolved(self, exc: Exception) -> Misuse:
        return Misuse(
            f"The type of event {self.name!r} cannot be resolved: {exc}. Define or import what it names at the top "
            f"level of {self._scope.get('__name__')}, not under TYPE_CHECKING, or give it: Event({self.name!r}, Type)."
        )


class EventWait(Call[T]):
    """One wait for an event, not yet started."""

    __slots__ = ("event",)

    def __init__(self, event: Event[T]) -> None:
        super().__init__()
        self.event = event

    def _describe(self) -> str:
        return f"event {self.event.name!r}"

    def _start(self, loop: ReplayLoop) -> asyncio.Future[T]:
        return loop.wait_for_event(self.event.name, self.event.decode)

    def _run_outside(self) -> Coroutine[Any, Any, T]:
        raise NotInOrchestration(
            f"Event {self.event.name!r} is awaited outside an orchestration, where nobody can send one. Await it in "
            "an @orchestration that a worker runs."
        )


def _calling_module() -> dict[str, Any]:
    """Give the names of the module that declares an event."""
    frame = sys._getframe(2)  # noqa: SLF001 - as collections.namedtuple does.
    # Event[Payment]("payment") comes by way of typing.
    while frame.f_globals.get("__name__") == "typing" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals


def _resolved(annotation: Any, scope: dict[str, Any]) -> Any:
    # Only in a class may text say Final[…] or ClassVar[…].
    holder = type("Holder", (), {"__annotations__": {"it": annotation}})
    return typing.get_type_hints(holder, globalns=scope)["it"]


def _bare(hint: Any) -> Any:
    while typing.get_origin(hint) in {typing.Final, typing.ClassVar}:
        (hint,) = typing.get_args(hint)
    return hint
