"""Sending external events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perdure import events
from perdure.authoring import Event
from perdure.engine import envelope, out_of_line, turns_queue
from perdure.errors import Closed, Misuse
from perdure.ids import Key, check_name, message_id
from perdure.messages import RaiseEvent
from perdure.records import CLOSED
from perdure.spi import Step

if TYPE_CHECKING:
    from perdure.hub import OpenHub
    from perdure.spi import Summary

__all__ = ["send_event"]

GIVE_UP_SECONDS = 60.0


async def send_event(
    hub: OpenHub, summary: Summary, event: Event[Any] | str, value: object, event_id: str | None
) -> None:
    """Send an event to the incarnation that the sender has just seen (R2): never to a later one of the same id.

    Raises:
        Closed: It has ended.
        Misuse: The payload does not fit.
    """
    if summary.status in CLOSED:
        message = f"The instance {summary.key!r} is {summary.status}: it reads no more events."
        raise Closed(message, instance_id=summary.key, status=summary.status)
    name = event.name if isinstance(event, Event) else check_name(event, what="event")
    data = event.encode(value) if isinstance(event, Event) else _encoded(name, value)
    identity = hub.new_id() if event_id is None else check_name(event_id, what="event id")
    payload = await _kept(hub, summary, identity, data)
    raised = events.EventRaised(name, payload, identity)
    body = RaiseEvent(summary.incarnation, raised, hub.clock.now())
    sent = envelope(
        turns_queue(summary.queue), Key(summary.key), message_id(summary.incarnation, 0, f"e/{identity}"), body
    )
    await hub.commit(Step(send=(sent,)), give_up_seconds=GIVE_UP_SECONDS)


def _encoded(name: str, value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError) as problem:
        raise Misuse(f"The payload of event {name!r} cannot be encoded: {problem}.") from problem


async def _kept(hub: OpenHub, summary: Summary, identity: str, data: bytes) -> events.Payload:
    if len(data) <= hub.inline_bytes_max:
        return data
    copy = out_of_line(Key(summary.key), f"{summary.incarnation}/e/{identity}", data)
    await hub.put_payloads([copy.stored])
    return copy.reference
