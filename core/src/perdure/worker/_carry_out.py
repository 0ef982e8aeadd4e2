"""One turn, carried out: the rules of the protocol meet the world here.

    take the seat, or read the history (R3)
    judge every message: run, duplicate, drop, early
    settle what needs no turn, sending again first what may be unsent (R5, R13)
    decide: run the code, or say why it cannot run (R15)
    write large payloads (R16), then commit one Step: append → create → send → complete
    conflict: another worker was faster; forget everything, read again, judge again (R3)

Crash at any line before the commit: nothing happened, the messages come again. Crash after it: the messages come
again, are duplicates, and are completed.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import msgspec

from perdure import events
from perdure.engine import (
    Plan,
    Verdict,
    classify,
    envelope,
    hop,
    inputs_of,
    plan_resend,
    plan_turn,
    retry_wake,
    turns_queue,
    wake,
)
from perdure.errors import Corrupt, TooNew, Unavailable, Unknown
from perdure.ids import Key, message_id
from perdure.messages import TaskEnded, Wake
from perdure.spi import Claim, Conflict, Step
from perdure.worker._decide import poisoned
from perdure.worker._seats import Seat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.engine import InstanceState
    from perdure.hub import OpenHub
    from perdure.spi import Envelope
    from perdure.worker._activities import Activities
    from perdure.worker._decide import Decide, Decisions
    from perdure.worker._leases import Leases
    from perdure.worker._seats import Seats
    from perdure.worker._solitude import Solitude
    from perdure.worker._turns import Arrival

__all__ = ["CarryOut", "Identity"]

logger = logging.getLogger("perdure.worker")

CONFLICTS_BEFORE_RESULTS_ARE_SENT = 2
PASS_ON_DELAY_SECONDS = 5.0
LOST_BEFORE_ALONE = 3
"""Deliveries of a message after which its instance is run with nothing else in the process (R15)."""
LOST_ALONE_MAX = 3
"""Deliveries of a message that was always run alone, after which the instance is stalled as poisoned."""


class Identity(msgspec.Struct, frozen=True):
    """Who runs turns: recorded with each of them."""

    worker: str
    code_version: str
    lease_seconds: float


class _Stale(Exception):
    """The state at hand is too old or was overtaken: read the history and judge again."""


class CarryOut:
    """Carries out turns for one worker."""

    def __init__(
        self,
        hub: OpenHub,
        identity: Identity,
        *,
        decide: Decide,
        seats: Seats,
        leases: Leases,
        activities: Activities,
        solitude: Solitude,
    ) -> None:
        self._hub = hub
        self._identity = identity
        self._decide = decide
        self._seats = seats
        self._leases = leases
        self._activities = activities
        self._solitude = solitude

    async def __call__(self, key: Key, arrivals: list[Arrival]) -> None:
        """Handle everything that waits for one instance. Raises nothing but cancellation: the loop outlives it."""
        try:
            try:
                await self._until_settled(key, arrivals)
            except TooNew as problem:
                await self._pass_on(key, arrivals, problem)
            except Corrupt as problem:
                await self._put_aside(key, arrivals, problem)
        except (Unavailable, Unknown) as problem:
            # The leases end by themselves and the messages come again; the store says then what happened (R4).
            logger.warning("%s: the hub gave no definite answer, trying again later: %s", key, problem)
        except Exception:
            logger.exception("%s: a defect of Perdure or of a provider; its messages come again", key)
        finally:
            self._leases.let_go([arrival.delivery for arrival in arrivals])  # what is still there comes again

    async def _until_settled(self, key: Key, arrivals: list[Arrival]) -> None:
        seat = self._seats.take(key)
        authoritative = False
        conflicts = 0
        while arrivals:
            began = self._hub.clock.monotonic()
            if seat is None:
                seat = await self._read(key)
                authoritative = True
            try:
                await self._attempt(key, seat, arrivals, authoritative=authoritative, began=began)
            except _Stale:
                conflicts += authoritative
                if conflicts >= CONFLICTS_BEFORE_RESULTS_ARE_SENT:
                    await self._send_local_results(key, arrivals)
                self._seats.close(seat)
                seat = None
            except BaseException:
                self._seats.close(seat)
                raise
        self._seats.put_back(key, seat)

    async def _read(self, key: Key) -> Seat | None:
        loaded = await self._hub.load(key)
        return None if loaded.state is None else Seat(loaded.state, loaded.records)

    async def _attempt(
        self, key: Key, seat: Seat | None, arrivals: list[Arrival], *, authoritative: bool, began: float
    ) -> None:
        """Judge and handle what is in `arrivals`, and take out of it what is settled."""
        state = seat.state if seat is not None else None
        judged = self._judge(state, arrivals, authoritative=authoritative)
        await self._settle(state, judged)
        arrivals[:] = judged[Verdict.RUN]
        if not arrivals:
            return
        assert seat is not None
        if any(_is_suspect(arrival) for arrival in arrivals):
            await self._ask_for_solitude(seat, arrivals, began)
        elif any(isinstance(a.message, Wake) and a.message.alone for a in arrivals):
            await self._run_alone(seat, arrivals, began)
        else:
            await self._run(seat, arrivals, began)
        arrivals.clear()

    def _judge(
        self, state: InstanceState | None, arrivals: list[Arrival], *, authoritative: bool
    ) -> dict[Verdict, list[Arrival]]:
        judged: dict[Verdict, list[Arrival]] = {verdict: [] for verdict in Verdict}
        now = self._hub.clock.now()
        for arrival in arrivals:
            verdict = classify(state, arrival.message, now=now, authoritative=authoritative)
            if verdict is Verdict.RELOAD:
                raise _Stale
            judged[verdict].append(arrival)
        return judged

    async def _settle(self, state: InstanceState | None, judged: dict[Verdict, list[Arrival]]) -> None:
        """Deal with what needs no turn, in one Step."""
        duplicates, dropped, early = judged[Verdict.DUPLICATE], judged[Verdict.DROP], judged[Verdict.EARLY]
        settled = [*duplicates, *dropped, *early]
        if not settled:
            return
        step = Step()
        if state is not None and duplicates and not self._hub.committer.capabilities.atomic:
            step = plan_resend(state)  # a crash may have come between the record and its messages (R5)
        hops = tuple(hop(state, a.message, a.delivery) for a in early) if state is not None else ()
        for arrival in dropped:
            logger.info("Dropped %s: it is for nobody.", arrival.delivery.envelope.message_id)
        await self._commit(msgspec.structs.replace(step, send=(*step.send, *hops)), settled)

    async def _run(
        self, seat: Seat, arrivals: list[Arrival], began: float, failed: events.TurnFailed | None = None
    ) -> None:
        """Run one turn and commit it."""
        state = seat.state
        now = max(state.now, self._hub.clock.now())  # R14
        turn = events.TurnStarted(now, self._identity.worker, self._identity.code_version, sys.version_info.minor)
        inputs = await self._inputs(state, arrivals, now)
        attempt = _wake_attempt(state, arrivals)
        decisions: Decisions = (failed,) if failed is not None else await self._decide(seat, turn, inputs)
        if not inputs and _fails_as_before(state, decisions):
            send = () if attempt is None else (retry_wake(state, attempt + 1, now),)
            await self._commit(Step(send=send), arrivals)
            return
        plan = plan_turn(
            state,
            turn=turn,
            turn_id=self._hub.new_id(),
            inputs=inputs,
            decisions=decisions,
            inline_bytes_max=self._hub.inline_bytes_max,
            wake_attempt=attempt,
        )
        await self._commit_turn(seat, plan, arrivals, began)

    async def _inputs(self, state: InstanceState, arrivals: list[Arrival], now: float) -> tuple[events.INPUTS, ...]:
        """Collect inputs; a child's large result is copied, for crossing instances copies (R16)."""
        inputs = inputs_of(state, [arrival.message for arrival in arrivals], now)
        return tuple([await self._copied(state, event) for event in inputs])

    async def _copied(self, state: InstanceState, event: events.INPUTS) -> events.INPUTS:
        if not isinstance(event, events.SubOrchestrationCompleted) or isinstance(event.result, bytes):
            return event
        child = state.children[event.seq].event
        assert isinstance(child, events.SubOrchestrationCreated)
        data = await self._hub.get_payload(Key(child.instance_id), event.result)
        return events.SubOrchestrationCompleted(event.seq, data)

    async def _commit_turn(self, seat: Seat, plan: Plan, arrivals: list[Arrival], began: float) -> None:
        await self._hub.put_payloads(plan.payloads)
        if self._hub.clock.monotonic() - began > self._identity.lease_seconds / 2:
            raise _Stale  # a zombie: others may have gone on since this history was read (R11)
        wanted = self._activities.wanted(plan.record)
        claim = Claim(self._identity.worker, self._identity.lease_seconds, wanted) if wanted else None
        await self._commit(msgspec.structs.replace(plan.step, claim=claim), arrivals)
        state = seat.state
        state.sent_upto = state.version
        assert plan.step.append is not None
        state.history_bytes += len(plan.step.append.record)

    async def _commit(self, step: Step, arrivals: Sequence[Arrival]) -> None:
        deliveries = tuple([arrival.delivery for arrival in arrivals])
        step = msgspec.structs.replace(step, complete=deliveries)
        done = await self._hub.commit(step, give_up_seconds=self._identity.lease_seconds / 2)
        if isinstance(done, Conflict):
            raise _Stale
        self._leases.let_go(deliveries)
        if done.claimed:
            self._activities.begin(done.claimed)

    async def _send_local_results(self, key: Key, arrivals: list[Arrival]) -> None:
        """Hand results on as messages: another worker keeps winning and will record them (R17)."""
        local = [arrival for arrival in arrivals if arrival.is_local]
        if not local:
            return
        await self._commit(Step(send=tuple([_as_message(key, arrival) for arrival in local])), local)
        arrivals[:] = [arrival for arrival in arrivals if not arrival.is_local]

    async def _ask_for_solitude(self, seat: Seat, arrivals: list[Arrival], began: float) -> None:
        """Record the inputs without running anything, and ask to be run alone: processes died over them (R15)."""
        state = seat.state
        assert state.started is not None
        inputs = await self._inputs(state, arrivals, state.now)
        alone = wake(state.key, state.incarnation, state.version, state.started.queue, alone=True)
        if not inputs:
            await self._commit(Step(send=(alone,)), arrivals)
            return
        plan = plan_turn(
            state,
            turn=None,
            turn_id=self._hub.new_id(),
            inputs=inputs,
            decisions=(),
            inline_bytes_max=self._hub.inline_bytes_max,
        )
        step = msgspec.structs.replace(plan.step, send=(*plan.step.send, alone))
        self._seats.close(seat)
        await self._commit_turn(seat, plan._replace(step=step), arrivals, began)

    async def _run_alone(self, seat: Seat, arrivals: list[Arrival], began: float) -> None:
        async with self._solitude.enter() as is_alone:
            lost = max(arrival.delivery.delivery_count for arrival in arrivals) - 1
            if not is_alone:
                await self._resend(arrivals)
            elif lost >= LOST_ALONE_MAX:
                await self._run(seat, arrivals, self._hub.clock.monotonic(), poisoned(lost))
            else:
                await self._run(seat, arrivals, self._hub.clock.monotonic())

    async def _resend(self, arrivals: Sequence[Arrival]) -> None:
        """Give messages back as new ones after a while: waiting must not burn deliveries (R15)."""
        not_before = self._hub.clock.now() + PASS_ON_DELAY_SECONDS
        sent = [msgspec.structs.replace(a.delivery.envelope, not_before=not_before) for a in arrivals]
        await self._commit(Step(send=tuple(sent)), arrivals)

    async def _pass_on(self, key: Key, arrivals: list[Arrival], problem: TooNew) -> None:
        logger.warning("%s: left to a newer worker: %s", key, problem)
        await self._resend(arrivals)

    async def _put_aside(self, key: Key, arrivals: list[Arrival], problem: Corrupt) -> None:
        logger.error("%s: its history is damaged; its messages wait among the dead letters: %s", key, problem)
        deliveries = [arrival.delivery for arrival in arrivals]
        await self._hub.queue.dead_letter(deliveries, f"history damaged: {problem}")


def _is_suspect(arrival: Arrival) -> bool:
    if arrival.is_local or (isinstance(arrival.message, Wake) and arrival.message.alone):
        return False
    return arrival.delivery.delivery_count > LOST_BEFORE_ALONE


def _wake_attempt(state: InstanceState, arrivals: Iterable[Arrival]) -> int | None:
    """Find the Wake that carries on the tries of a stalled instance: never attempt 0, which only nudges (R15)."""
    attempts = [a.message.attempt for a in arrivals if isinstance(a.message, Wake)]
    chained = [attempt for attempt in attempts if attempt or state.stalled is None]
    return max(chained, default=None)


def _fails_as_before(state: InstanceState, decisions: Decisions) -> bool:
    failed = decisions[0] if decisions else None
    if not isinstance(failed, events.TurnFailed) or state.stalled is None:
        return False
    return failed.reason == state.stalled.reason


def _as_message(key: Key, arrival: Arrival) -> Envelope:
    message = arrival.message
    assert isinstance(message, TaskEnded)
    name = message_id(message.incarnation, message.execution, f"{message.outcome.seq}/done")
    return envelope(turns_queue(arrival.reply_to), key, name, message)
