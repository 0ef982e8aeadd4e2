"""C6, claims: messages that are born leased to the worker that sends them."""

from __future__ import annotations

import pytest

from perdure.spi import Claim, Conflict, Delivery, Done, Envelope, Key, Misuse, Step, WorkerId
from perdure_conformance.committer._story import left_over
from perdure_conformance.harness import Backend, Contract, Harness
from perdure_conformance.material import TASKS, addition, begin, ids_of, message

__all__ = ["ClaimClauses"]

ME = WorkerId("me")


async def _claim(backend: Backend, *sent: Envelope, ids: tuple[str, ...], lease_seconds: float = 60) -> list[Delivery]:
    """Send messages, claim some, and tell what is held."""
    done = await backend.committer.commit(
        Step(send=sent, claim=Claim(worker=ME, lease_seconds=lease_seconds, message_ids=frozenset(ids)))
    )
    assert isinstance(done, Done)
    return list(done.claimed)


async def _open(harness: Harness) -> Backend:
    """Open a backend that gives claims, or skip the test because it does not."""
    backend = await harness.open_backend()
    if not backend.committer.capabilities.claims:
        pytest.skip("claims is not declared")
    if backend.queue.capabilities["tasks"].exclusive_groups:
        pytest.skip("exclusive_groups is declared for tasks: another message of the group may be first")
    return backend


class ClaimClauses(Contract):
    """Born leased."""

    async def test_c6_where_claims_are_not_declared_nothing_is_claimed_and_all_is_sent(self, harness: Harness) -> None:
        """A worker that believed it held a message would never receive it."""
        backend = await harness.open_backend()
        if backend.committer.capabilities.claims:
            pytest.skip("claims is declared")

        assert await _claim(backend, message(TASKS, "m-1"), message(TASKS, "m-2"), ids=("m-1",)) == []

        assert await left_over(harness, backend) == ["m-1", "m-2"]

    async def test_c6_a_claimed_message_is_held_from_birth(self, harness: Harness) -> None:
        """As if it had been sent and received: complete, first delivery, a lease that tells its end."""
        backend = await _open(harness)
        sent = message(TASKS, "m-1", body=b"\x00\xff")
        before = harness.environment.clock.monotonic()

        (held,) = await _claim(backend, sent, ids=("m-1",))

        assert (held.envelope.message_id, held.envelope.body, held.envelope.group) == (
            "m-1",
            b"\x00\xff",
            sent.group,
        )
        assert held.delivery_count == 1
        assert before + 59 <= held.lease_until <= harness.environment.clock.monotonic() + 61

    async def test_c6_a_claimed_message_is_hidden_from_others(self, harness: Harness) -> None:
        """That is the point of it: the activity runs here, at once."""
        backend, other = await _open(harness), await harness.open_backend()

        await _claim(backend, message(TASKS, "m-1"), ids=("m-1",))

        assert await harness.look(other.queue, TASKS, worker="other") == []
        assert await harness.look(backend.queue, TASKS, worker="me") == []

    async def test_c6_what_was_not_claimed_is_free(self, harness: Harness) -> None:
        """The worker claims what it has room for."""
        backend, other = await _open(harness), await harness.open_backend()

        held = await _claim(backend, *(message(TASKS, f"m-{n}") for n in range(4)), ids=("m-1", "m-3", "m-9"))

        assert sorted(ids_of(held)) == ["m-1", "m-3"]
        assert sorted(ids_of(await harness.receive_many(other.queue, TASKS, 2))) == ["m-0", "m-2"]
        assert await harness.look(other.queue, TASKS) == []

    async def test_c6_a_claimed_message_comes_to_others_when_its_lease_ends(self, harness: Harness) -> None:
        """The worker died with it: the message is as safe as if it had been received."""
        backend, other = await _open(harness), await harness.open_backend()
        await _claim(backend, message(TASKS, "m-1"), ids=("m-1",), lease_seconds=harness.moment)

        await harness.let_time_pass(2 * harness.moment)

        found = await harness.receive_one(other.queue, TASKS, worker="other")
        assert found.envelope.message_id == "m-1"
        assert found.delivery_count > 1

    async def test_c6_a_claimed_message_can_be_renewed_completed_and_given_back(self, harness: Harness) -> None:
        """Its receipt is as good as any."""
        backend, other = await _open(harness), await harness.open_backend()
        sent = [message(TASKS, f"m-{number}") for number in range(3)]
        held = await _claim(backend, *sent, ids=("m-0", "m-1", "m-2"))

        assert await backend.queue.renew(held, 60) == [True, True, True]
        assert await backend.queue.complete([one for one in held if one.envelope.message_id == "m-0"]) == [True]
        await backend.queue.abandon([one for one in held if one.envelope.message_id == "m-1"])

        found = await harness.receive_one(other.queue, TASKS, worker="other")
        assert found.envelope.message_id == "m-1"
        assert found.delivery_count > 1
        assert await harness.look(other.queue, TASKS) == []

    async def test_c6_a_claimed_message_can_be_completed_by_a_later_step(self, harness: Harness) -> None:
        """Local completion (R17): the result goes straight into the next turn's record."""
        backend = await _open(harness)
        await begin(backend.store, Key("order"))
        held = await _claim(backend, message(TASKS, "m-1"), ids=("m-1",))

        done = await backend.committer.commit(Step(append=addition(Key("order"), 1), complete=tuple(held)))

        assert done == Done(version=2, completed=(True,))
        assert await left_over(harness, backend) == []

    async def test_c6_a_message_for_later_is_not_held_before_its_time(self, harness: Harness) -> None:
        """A retry with back-off: claimed, it would run now, or be held for nothing."""
        backend = await _open(harness)
        later = message(TASKS, "later", not_before=harness.environment.clock.now() + 600)

        held = await _claim(backend, later, message(TASKS, "now"), ids=("later", "now"))

        assert ids_of(held) == ["now"]
        assert await left_over(harness, backend) == []

    async def test_c6_after_a_conflict_nothing_is_claimed(self, harness: Harness) -> None:
        """Nothing was sent either."""
        backend = await _open(harness)
        await begin(backend.store, Key("order"), records=2)
        claim = Claim(worker=ME, lease_seconds=harness.moment, message_ids=frozenset({"m-1"}))

        outcome = await backend.committer.commit(
            Step(append=addition(Key("order"), 1, turn_id="late"), send=(message(TASKS, "m-1"),), claim=claim)
        )

        assert outcome == Conflict(version=2)
        await harness.let_time_pass(2 * harness.moment)
        assert await left_over(harness, backend) == []

    async def test_c6_a_claim_for_longer_than_a_lease_may_last_is_refused(self, harness: Harness) -> None:
        """And nothing of the Step is done."""
        backend = await _open(harness)
        limit = backend.queue.capabilities["tasks"].lease_seconds_max
        if limit == float("inf"):
            pytest.skip("lease_seconds_max is infinite")

        with pytest.raises(Misuse):
            await _claim(backend, message(TASKS, "m-1"), ids=("m-1",), lease_seconds=limit + 1)

        assert await left_over(harness, backend) == []

    async def test_c6_a_claiming_step_again_loses_no_message(self, harness: Harness) -> None:
        """The first answer was lost, and with it the receipt: what it leased comes back when that lease ends."""
        backend, other = await _open(harness), await harness.open_backend()
        claim = Claim(worker=ME, lease_seconds=harness.moment, message_ids=frozenset({"m-1"}))
        await begin(backend.store, Key("order"))
        step = Step(append=addition(Key("order"), 1), send=(message(TASKS, "m-1"),), claim=claim)

        await backend.committer.commit(step)
        again = await backend.committer.commit(step)

        assert isinstance(again, Done)
        await harness.let_time_pass(2 * harness.moment)
        assert set(await left_over(harness, other)) == {"m-1"}
