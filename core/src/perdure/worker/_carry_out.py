"""One turn, carried out: the rules of the protocol meet the world here.

    take the seat, or read the history (R3)
    judge every message: run, duplicate, drop, early
    settle what needs no turn, sending again first what may be unsent (R5, R13)
    decide: run the code, or say why it cannot run (R15)
    write large payloads (R16), then commit one Step: append → create → send → complete
    conflict: another worker was faster; forget everything, read again, judge again (R3)
    no answer: keep the messages, wait, read again, judge again (R4, R15)

Crash at any line before the commit: nothing happened, the messages come again. Crash after it: the messages come
again, are duplicates, and are completed.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import msgspec

from perdure import events
from perdure.engine import Plan, hop, inputs_of, plan_resend, plan_turn, retry_wake
from perdure.errors import Corrupt, Misuse, TooNew, Unavailable, Unknown
from perdure.ids import Key
from perdure.messages import Wake
from perdure.spi import Claim, Conflict, Head, Step, WorkerId
from perdure.worker._decide import unrecordable
from perdure.worker._fit import first_batch, inline_limit
from perdure.worker._judged import Judged, Stale, judge
from perdure.worker._seats import Seat
from perdure.worker._suspicion import is_suspect, is_under_suspicion, losses_alone, poisoned, suspected, was_lost_enough
from perdure.worker._turns import as_sent, deliveries_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.engine import InstanceState
    from perdure.hub import OpenHub
    from perdure.worker._activities import Activities
    from perdure.worker._decide import Decide, Decisions
    from perdure.worker._leases import Leases
    from perdure.worker._outages import Outages
    from perdure.worker._seats import Seats
    from perdure.worker._solitude import Solitude
    from perdure.worker._turns import Arrival

__all__ = ["CarryOut", "Identity"]

logger = logging.getLogger("perdure.worker")

CONFLICTS_BEFORE_RESULTS_ARE_SENT = 2
PASS_ON_DELAY_SECONDS = 5.0
CLOCK_OFF_SECONDS_MAX = 5.0
CLOCK_OFF_DELAY_SECONDS = 30.0


class Identity(msgspec.Struct, frozen=True):
    """Who runs turns: recorded with each of them."""

    worker: WorkerId
    code_version: str
    lease_seconds: float


class _Overtaken(Stale):
    """Another worker was faster."""


class _Unrecordable(Exception):
    """What the code decided is over a limit of the hub: record that instead."""

    def __init__(self, problem: Misuse) -> None:
        super().__init__(str(problem))
        self.failed = unrecordable(problem)


class _ClockIsOff(Exception):
    """This machine's clock is not the storage's: it runs no turns (R14)."""

    def __init__(self, key: Key, server_time: float, own_time: float) -> None:
        super().__init__(
            f"{key}: left to another worker: the clock of this machine is {own_time - server_time:+.1f} s off the "
            f"storage's. Set it right: up to {CLOCK_OFF_SECONDS_MAX:g} s are tolerated."
        )
        self.server_time = server_time


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
        outages: Outages,
        activities: Activities,
        solitude: Solitude,
    ) -> None:
        self._hub = hub
        self._identity = identity
        self._decide = decide
        self._seats = seats
        self._leases = leases
        self._outages = outages
        self._activities = activities
        self._solitude = solitude
        self._is_clock_off = False

    async def __call__(self, key: Key, arrivals: list[Arrival]) -> None:
        """Handle everything that waits for one instance. Raises nothing but cancellation: the loop outlives it."""
        try:
            async with self._solitude.in_company():
                await self._outages.outlast(key, lambda: self._handle(key, arrivals))
        except (Unavailable, Unknown) as problem:
            # The leases end by themselves and the messages come again; the store says then what happened (R4).
            logger.warning("%s: left as it is, the worker stops and the hub does not answer: %s", key, problem)
        except Exception:
            logger.exception("%s: a defect of Perdure or of a provider; its messages come again", key)
        finally:
            self._leases.let_go(deliveries_of(arrivals))  # what is still there comes again

    async def _handle(self, key: Key, arrivals: list[Arrival]) -> None:
        try:
            await self._until_settled(key, arrivals)
        except TooNew as problem:
            logger.warning("%s: left to a newer worker: %s", key, problem)
            await self._pass_on(key, arrivals, self._hub.clock.now() + PASS_ON_DELAY_SECONDS)
        except _ClockIsOff as problem:
            logger.error("%s", problem)  # noqa: TRY400 - its traceback tells nothing
            await self._pass_on(key, arrivals, problem.server_time + CLOCK_OFF_DELAY_SECONDS)
        except Corrupt as problem:
            logger.error("%s: its history is damaged; its messages go to the dead letters: %s", key, problem)  # noqa: TRY400
            await self._hub.queue.dead_letter(deliveries_of(arrivals), f"history damaged: {problem}")

    async def _until_settled(self, key: Key, arrivals: list[Arrival]) -> None:
        """Judge and handle messages until none is left in `arrivals`; what is settled is taken out of it."""
        seat = self._seats.take(key)
        authoritative = False
        conflicts = 0
        failed: events.TurnFailed | None = None
        try:
            while arrivals:
                began = self._hub.clock.monotonic()
                if seat is None or self._is_clock_off:
                    self._seats.close(seat)
                    seat, authoritative = await self._read(key), True
                try:
                    await self._attempt(key, seat, arrivals, authoritative=authoritative, began=began, failed=failed)
                    failed = None
                except (Stale, _Unrecordable) as problem:
                    failed = problem.failed if isinstance(problem, _Unrecordable) else failed
                    self._seats.close(seat)
                    seat = None
                    conflicts += isinstance(problem, _Overtaken)
                    if conflicts >= CONFLICTS_BEFORE_RESULTS_ARE_SENT:
                        await self._send_local_results(key, arrivals)
                if seat is not None and seat.execution is None:
                    seat = None  # its records were replayed and its code is gone: there is nothing to go on from
        except BaseException:
            self._seats.close(seat)
            raise
        self._seats.put_back(key, seat)

    async def _read(self, key: Key) -> Seat | None:
        earliest = self._hub.clock.now()
        loaded = await self._hub.load(key)
        if isinstance(loaded.head, Head) and self._hub.store.capabilities.server_time:
            self._compare_clocks(key, loaded.head.server_time, earliest)
        if loaded.state is None:
            return None
        if self._hub.committer.capabilities.atomic:
            loaded.state.sent_upto = loaded.state.version  # C3: what is recorded is sent
        return Seat(loaded.state, loaded.records)

    def _compare_clocks(self, key: Key, server_time: float, earliest: float) -> None:
        """Refuse to run turns by a wrong clock (R14); `earliest` is when the storage was asked, by that clock."""
        own_time = min(max(server_time, earliest), self._hub.clock.now())
        self._is_clock_off = abs(own_time - server_time) > CLOCK_OFF_SECONDS_MAX
        if self._is_clock_off:
            raise _ClockIsOff(key, server_time, own_time)

    async def _attempt(
        self,
        key: Key,
        seat: Seat | None,
        arrivals: list[Arrival],
        *,
        authoritative: bool,
        began: float,
        failed: events.TurnFailed | None,
    ) -> None:
        """Judge what is in `arrivals`, handle as much as one record takes, and take out what is settled."""
        state = seat.state if seat is not None else None
        now = _time_by(arrivals, self._hub.clock.now())
        judged = judge(state, arrivals, now, authoritative=authoritative)
        await self._settle(state, judged)
        arrivals[:] = judged.run
        if not arrivals:
            return
        assert seat is not None
        seat.judged_at = now
        batch = first_batch(arrivals, self._hub.store.capabilities)
        if failed is not None:
            await self._run(seat, batch, began, failed)
        elif is_under_suspicion(seat.state):
            await self._run_suspect(key, seat, batch, began)
        elif any(is_suspect(arrival, self._hub.queue) for arrival in batch):
            await self._run(seat, batch, began, suspected(batch))
        else:
            await self._run(seat, batch, began)
        del arrivals[: len(batch)]

    async def _settle(self, state: InstanceState | None, judged: Judged) -> None:
        """Deal with what needs no turn, in one Step."""
        duplicates, dropped, early = judged.duplicates, judged.dropped, judged.early
        settled = [*duplicates, *dropped, *early]
        if not settled:
            return
        for arrival in dropped:
            logger.info("Dropped %s: it is for nobody.", arrival.delivery.envelope.message_id)
        if state is None:
            await self._commit(Step(), settled)
            return
        # A crash may have come between the record and its messages (R5).
        step = plan_resend(state) if duplicates else Step()
        hops = tuple([hop(state, arrival.message, arrival.delivery) for arrival in early])
        await self._commit(msgspec.structs.replace(step, send=(*step.send, *hops)), settled)
        if duplicates:
            state.sent_upto = state.version

    async def _run(
        self, seat: Seat, arrivals: list[Arrival], began: float, failed: events.TurnFailed | None = None
    ) -> None:
        """Run one turn and commit it; with `failed`, record only that it cannot run."""
        state = seat.state
        # R14. Not before it was judged that timers are due: if the clock was set back since, their message would be
        # completed by a turn in which they do not fire.
        now = max(state.now, seat.judged_at, self._hub.clock.now())
        turn = events.TurnStarted(now, self._identity.worker, self._identity.code_version, sys.version_info.minor)
        inputs = await self._inputs(state, arrivals, now)
        attempt = _wake_attempt(arrivals)
        decisions: Decisions = (failed,) if failed is not None else await self._decide(seat, turn, inputs)
        if not inputs and _fails_as_before(state, decisions):
            await self._commit(self._try_again(state, arrivals, attempt, now), arrivals)
            return
        plan = plan_turn(
            state,
            turn=turn,
            turn_id=self._hub.new_id(),
            inputs=inputs,
            decisions=decisions,
            inline_bytes_max=self._inline_bytes_max(inputs, decisions),
            wake_attempt=attempt,
        )
        try:
            await self._commit_turn(seat, plan, arrivals, began)
        except Misuse as problem:
            if failed is not None:
                raise
            raise _Unrecordable(problem) from problem

    @staticmethod
    def _try_again(state: InstanceState, arrivals: Iterable[Arrival], attempt: int | None, now: float) -> Step:
        """Plan the next try of an instance that stalled again for the same reason: exactly one is under way."""
        if attempt is not None:
            return Step(send=(retry_wake(state, attempt + 1, now),))
        # Who had this message before may have died between the record of the stall and its first try (R5).
        return plan_resend(state) if any(arrival.delivery.delivery_count > 1 for arrival in arrivals) else Step()

    def _inline_bytes_max(self, inputs: Iterable[events.INPUTS], decisions: Iterable[events.DECISIONS]) -> int:
        record_bytes_max = self._hub.store.capabilities.record_bytes_max
        return inline_limit((*inputs, *decisions), self._hub.inline_bytes_max, record_bytes_max)

    async def _inputs(self, state: InstanceState, arrivals: list[Arrival], now: float) -> tuple[events.INPUTS, ...]:
        """Collect inputs; a child's large result is copied, for crossing instances copies (R16)."""
        inputs = inputs_of(state, [arrival.message for arrival in arrivals], now)
        if any(isinstance(event, events.SubOrchestrationCompleted) for event in inputs):
            return tuple([await self._copied(state, event) for event in inputs])
        return inputs

    async def _copied(self, state: InstanceState, event: events.INPUTS) -> events.INPUTS:
        if not isinstance(event, events.SubOrchestrationCompleted) or isinstance(event.result, bytes):
            return event
        child = state.children[event.seq].event
        assert isinstance(child, events.SubOrchestrationCreated)
        data = await self._hub.get_payload(Key(child.instance_id), event.result)
        return events.SubOrchestrationCompleted(event.seq, data)

    async def _commit_turn(self, seat: Seat, plan: Plan, arrivals: list[Arrival], began: float) -> None:
        append = plan.step.append
        assert append is not None
        await self._hub.put_payloads(plan.payloads)
        if self._hub.clock.monotonic() - began > self._identity.lease_seconds / 2:
            await self._check_nothing_happened(append.key, append.expected)
        reserved = self._activities.reserve(plan.record)
        try:
            wanted = reserved.message_ids
            claim = Claim(self._identity.worker, self._identity.lease_seconds, wanted) if wanted else None
            await self._commit(plan.step, arrivals, claim)
        finally:
            self._activities.release(reserved)
        state = seat.state
        state.sent_upto = state.version if self._hub.committer.capabilities.atomic else plan.sent_upto
        state.history_bytes += len(append.record)

    async def _check_nothing_happened(self, key: Key, expected: int) -> None:
        """Read again after being held up: others may have gone on since (R11).

        Running the turn again, instead, would never end where the store or the replay is always that slow.

        Raises:
            _Overtaken: They have.
        """
        head = await self._hub.store.read(key, after=expected)
        if not isinstance(head, Head) or head.version != expected:
            raise _Overtaken

    async def _commit(self, step: Step, arrivals: Sequence[Arrival], claim: Claim | None = None) -> None:
        deliveries = deliveries_of(arrivals)
        step = Step(step.append, step.create, step.send, deliveries, claim)
        done = await self._hub.commit(step, give_up_seconds=self._identity.lease_seconds / 2)
        if isinstance(done, Conflict):
            raise _Overtaken
        self._leases.let_go(deliveries)
        if done.claimed:
            self._activities.begin(done.claimed)

    async def _send_local_results(self, key: Key, arrivals: list[Arrival]) -> None:
        """Hand results on as messages: another worker keeps winning and will record them (R17)."""
        local = [arrival for arrival in arrivals if arrival.is_local]
        if local:
            await self._pass_on(key, local, 0.0)
            arrivals[:] = [arrival for arrival in arrivals if not arrival.is_local]

    async def _pass_on(self, key: Key, arrivals: Sequence[Arrival], not_before: float) -> None:
        """Send what is held again, as new messages: waiting must not burn deliveries (R15)."""
        await self._commit(Step(send=tuple([as_sent(key, arrival, not_before) for arrival in arrivals])), arrivals)

    async def _run_suspect(self, key: Key, seat: Seat, arrivals: list[Arrival], began: float) -> None:
        """Run an instance over which processes died: alone, or else only record what came for it (R15)."""
        state = seat.state
        assert state.stalled is not None
        lost = losses_alone(arrivals)
        if lost is None:
            await self._run(seat, arrivals, began, state.stalled)
        elif was_lost_enough(state, lost, self._hub.queue):
            await self._run(seat, arrivals, began, poisoned())
        else:
            async with self._solitude.alone() as seconds:
                if seconds:
                    await self._pass_on(key, arrivals, self._hub.clock.now() + seconds)
                else:
                    await self._run(seat, arrivals, self._hub.clock.monotonic())


def _time_by(arrivals: Iterable[Arrival], own: float) -> float:
    """Tell what time it is, at least: a message that was delivered is due, by the clock of the queue (Q3).

    Guards against a clock that is behind that of the queue, within what is tolerated (R14): its worker would find each
    timer too early, send it again for a time that has come for the queue, get it back at once, and so on for seconds.
    """
    due = max([arrival.delivery.envelope.not_before for arrival in arrivals], default=0.0)
    return max(own, min(due, own + CLOCK_OFF_SECONDS_MAX))


def _wake_attempt(arrivals: Iterable[Arrival]) -> int | None:
    """Find the Wake that carries on the tries of a stalled instance: never attempt 0, which only nudges (R15)."""
    attempts = [arrival.message.attempt for arrival in arrivals if isinstance(arrival.message, Wake)]
    return max((attempt for attempt in attempts if attempt), default=None)


def _fails_as_before(state: InstanceState, decisions: Decisions) -> bool:
    failed = decisions[0] if decisions else None
    if not isinstance(failed, events.TurnFailed) or state.stalled is None:
        return False
    return failed.reason == state.stalled.reason
