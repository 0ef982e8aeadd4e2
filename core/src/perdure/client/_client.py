"""Client: start, find, read and message instances. Every change is one Step; every answer is read from the store."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime  # noqa: TC003 - part of public signatures, resolved by documentation
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from perdure import events
from perdure.authoring import Event, OrchestrationCall
from perdure.client._history import History
from perdure.client._run import NO_RECORDS, Run
from perdure.client._send import send_event
from perdure.engine import creation, input_name, out_of_line, wake
from perdure.errors import AlreadyExists, Misuse, NotFound
from perdure.ids import Key, check_instance_id, check_name
from perdure.spi import Append, Conflict, Head, Query, Step, Summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from perdure.hub import OpenHub
    from perdure.replay import Call
    from perdure.spi import Envelope

__all__ = ["Client"]

R = TypeVar("R")
T = TypeVar("T")

GIVE_UP_SECONDS = 60.0
GUARD_SECONDS = 2 * GIVE_UP_SECONDS
"""When the guard looks: after the last attempt to record what it guards."""
TAGS_MAX = 64
STATUSES = ("Pending", "Running", "Suspended", "Completed", "Failed", "Canceled", "Terminated")


class Client:
    """What a process may ask of a hub. Made by `perdure.connect`."""

    def __init__(self, hub: OpenHub) -> None:
        self._hub = hub

    async def start(
        self,
        call: Call[R],
        *,
        id: str | None = None,
        tags: Mapping[str, str] | None = None,
        start_at: datetime | None = None,
        if_exists: Literal["error", "return"] = "error",
    ) -> Run[R]:
        """Start an orchestration. It is recorded when this returns: from then on it runs to an end.

        Args:
            call: The orchestration called with its input: `invoicing(order)`.
            id: Instance id, 1 to 256 characters; None makes one up. Starting again with the same id does not run
                anything twice: that is how a start becomes idempotent.
            tags: Text by name, at most 64, to find it by.
            start_at: Not before this time (aware datetime); None means at once.
            if_exists: What to do if the id is taken: `error`, or `return` the instance that exists.

        Returns:
            A handle to wait for the result with, or to send events.

        Raises:
            AlreadyExists: The id is taken, or with `return` by an instance of another orchestration; `status` tells how
                that one stands. Nothing was changed.
            Misuse: The input does not fit the annotations, or an option is wrong. Nothing was changed.
            Unavailable: No answer; calling again with the same id and `if_exists="return"` is safe.
        """
        if isinstance(call, Coroutine):  # pyright: ignore[reportUnnecessaryIsInstance] - callers need not be typed
            call.close()  # first: whatever is refused below, it counts as used and warns of nothing
        if not isinstance(call, OrchestrationCall):
            raise Misuse(f"start() takes a called orchestration, as in hub.start(invoicing(order)), not {call!r}.")
        if if_exists not in {"error", "return"}:
            raise Misuse(f'if_exists is "error" or "return", not {if_exists!r}.')
        incarnation = self._hub.new_id()
        key = check_instance_id(incarnation if id is None else id)
        started = self._started(call, _checked_tags(tags), _seconds(start_at))
        data = call.encode_input()
        append = await self._creation(key, incarnation, started, data)
        hint = wake(key, incarnation, append.version, started.queue, not_before=started.scheduled_start)
        await self._guard(hint)
        done = await self._hub.commit(Step(append=append, send=(hint,)), give_up_seconds=GIVE_UP_SECONDS)
        if isinstance(done, Conflict):
            return await self._existing(key, call, if_exists)
        return Run(self._hub, key, incarnation, call.definition)

    async def _guard(self, hint: Envelope) -> None:
        """Have somebody look in any case, where record and hint are not one transaction (R8b).

        Crash between the record and its hint: the guard finds an instance that nobody woke, and wakes it.
        """
        if not self._hub.committer.capabilities.atomic:
            later = max(hint.not_before, self._hub.clock.now() + GUARD_SECONDS)
            guard = msgspec.structs.replace(hint, not_before=later)
            await self._hub.commit(Step(send=(guard,)), give_up_seconds=GIVE_UP_SECONDS)

    def _started(self, call: OrchestrationCall[Any], tags: dict[str, str], start_at: float) -> events.ExecutionStarted:
        definition = call.definition
        return events.ExecutionStarted(
            name=definition.name,
            input=b"",
            seed=int.from_bytes(self._hub.entropy.random_bytes(7), "big"),
            created_at=self._hub.clock.now(),
            version=definition.version,
            queue=definition.queue,
            tags=tags,
            scheduled_start=start_at,
        )

    async def _creation(self, key: Key, incarnation: str, started: events.ExecutionStarted, data: bytes) -> Append:
        payload: events.Payload = data
        if len(data) > self._hub.inline_bytes_max:
            copy = out_of_line(key, input_name(incarnation), data)
            await self._hub.put_payloads([copy.stored])
            payload = copy.reference
        return creation(key, incarnation, msgspec.structs.replace(started, input=payload))

    async def _existing(self, key: Key, call: OrchestrationCall[R], if_exists: str) -> Run[R]:
        head = await self._hub.store.read(key, after=NO_RECORDS)
        if not isinstance(head, Head):
            message = f"The instance id {key!r} belonged to an instance that was purged: choose another."
            raise AlreadyExists(message, instance_id=key)
        summary = head.summary
        same = summary.name == call.definition.name
        if if_exists == "error" or not same:
            mend = "choose another id" + (', or pass if_exists="return" to get it' if same else "")
            message = f"The instance id {key!r} is taken by {summary.name!r}, which is {summary.status}: {mend}."
            raise AlreadyExists(message, instance_id=key, status=summary.status)
        if summary.status == "Pending":
            # Whoever created it may have died before the hint went out; one more does no harm.
            hint = wake(key, summary.incarnation, head.version, summary.queue)
            await self._hub.commit(Step(send=(hint,)), give_up_seconds=GIVE_UP_SECONDS)
        return Run(self._hub, key, summary.incarnation, call.definition)

    async def get(self, id: str) -> Run[Any]:
        """Get a handle to an instance.

        Raises:
            NotFound: There is none of this id.
        """
        summary = await self._summary(check_instance_id(id))
        return Run(self._hub, Key(summary.key), summary.incarnation, None)

    async def _summary(self, key: Key) -> Summary:
        head = await self._hub.store.read(key, after=NO_RECORDS)
        if not isinstance(head, Head):
            raise NotFound(f"No instance {key!r} in {self._hub.name}.", instance_id=key)
        return head.summary

    def list(
        self,
        *,
        status: Sequence[str] = (),
        name: Sequence[str] = (),
        prefix: str = "",
        tags: Mapping[str, str] | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        stalled: bool = False,
        limit: int = 0,
    ) -> AsyncIterator[Summary]:
        """List instances that fulfil every condition, in the order of their ids.

        Args:
            status: Any of these: Pending, Running, Suspended, Completed, Failed, Canceled, Terminated.
            name: Any of these orchestrations.
            prefix: Instance ids that begin so.
            tags: Each of these tags has this value.
            created_from: Created then or later.
            created_to: Created before.
            stalled: Only those that cannot run at the moment.
            limit: At most so many; 0 means all.

        Raises:
            Misuse: A status that there is not, a negative limit or a time without a time zone.
        """
        for one in status:
            if one not in STATUSES:
                raise Misuse(f"There is no status {one!r}; there are: {', '.join(STATUSES)}.")
        if limit < 0:
            raise Misuse(f"limit={limit} is negative: give how many, or 0 for all.")
        query = Query(
            statuses=tuple(status),
            names=tuple(name),
            id_prefix=prefix,
            tags=dict(tags or {}),
            created_from=_seconds(created_from),
            created_to=_seconds(created_to),
            stalled=stalled,
            limit=limit,
        )
        return self._hub.store.scan(query)

    async def history(self, id: str) -> History:
        """Read the whole history of an instance, payloads in line.

        Raises:
            NotFound: There is none of this id.
            Corrupt: It is damaged; tell a person.
        """
        key = check_instance_id(id)
        loaded = await self._hub.load(key)
        if loaded.state is None or not isinstance(loaded.head, Head):
            raise NotFound(f"No instance {key!r} in {self._hub.name}.", instance_id=key)
        records = tuple([await self._hub.inline_record(key, record) for record in loaded.records])
        return History(key, loaded.head.summary, records, loaded.head.token)

    async def send(self, id: str, event: Event[T] | str, value: T, *, event_id: str | None = None) -> None:
        """Send an external event. It waits until the orchestration asks for it, however early it comes.

        Args:
            id: Instance that gets it.
            event: Which event; by its name, the payload is not checked here.
            value: The payload.
            event_id: Makes it count once however often it is sent; None makes one up.

        Raises:
            NotFound: There is no such instance.
            Closed: The instance has ended; the event would never be read.
            Misuse: The payload does not fit the event's type.
        """
        summary = await self._summary(check_instance_id(id))
        await send_event(self._hub, summary, event, value, event_id)

    async def changed(self, id: str, history: History | None, wait_seconds: float) -> bool:
        """Wait until an instance has changed since `history` was read (None: until it exists).

        Returns:
            False if `wait_seconds` passed and no change was seen.
        """
        token = history.token if history is not None else None
        return await self._hub.changed(check_instance_id(id), token, wait_seconds)


def _seconds(moment: datetime | None) -> float:
    if moment is None:
        return 0.0
    if moment.tzinfo is None:
        raise Misuse(f"{moment!r} has no time zone: make it aware, for example with datetime.now(UTC).")
    return moment.timestamp()


def _checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    checked = dict(tags or {})
    if len(checked) > TAGS_MAX:
        raise Misuse(f"An instance has at most {TAGS_MAX} tags, not {len(checked)}.")
    for tag, value in checked.items():
        check_name(tag, what="tag")
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers need not be typed
            raise Misuse(f"Tag {tag!r} has the value {value!r}: tags are text.")
    return checked
