"""C4: Steps of different keys go side by side, and the trouble of one is its own."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Conflict, Delivery, Done, Key, Misuse, Step
from perdure_conformance.committer._story import begin_turn, left_over, turn, turn_ids
from perdure_conformance.harness import Contract, Harness, at_limit
from perdure_conformance.material import TASKS, TURNS, addition, begin, creation, message

__all__ = ["ParallelClauses"]

COUNT = 16
KEYS_AT_ONCE = [Key(f"order-{number:02}") for number in range(COUNT)]


class ParallelClauses(Contract):
    """Many Steps at once."""

    level = 2

    async def test_c4_steps_of_different_keys_are_committed_at_the_same_time(self, harness: Harness) -> None:
        """One client, as the tasks of one worker do; a backend may group them, and answers each."""
        backend = await harness.open_backend()
        held = {key: await begin_turn(harness, backend, key) for key in KEYS_AT_ONCE}

        calls = [harness.begin(backend.committer.commit(turn(held[key], key))) for key in KEYS_AT_ONCE]
        outcomes = [await harness.finish(call) for call in calls]

        assert outcomes == [Done(version=2, created=(True,), completed=(True,))] * COUNT
        for key in KEYS_AT_ONCE:
            assert await turn_ids(backend, key) == ["create", "turn"]

    async def test_c4_a_conflict_fails_no_other_step(self, harness: Harness) -> None:
        """Grouped into one transaction, the loser must not take the others along, nor be carried by them."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        held: dict[Key, Delivery] = {}
        for key in KEYS_AT_ONCE:
            held[key] = await begin_turn(harness, backend, key)
        lost = KEYS_AT_ONCE[COUNT // 2]
        await other.store.append(addition(lost, 1, turn_id="theirs", incarnation=f"inc of {lost}"))

        calls = {key: harness.begin(backend.committer.commit(turn(held[key], key))) for key in KEYS_AT_ONCE}
        outcomes = {key: await harness.finish(call) for key, call in calls.items()}

        assert outcomes.pop(lost) == Conflict(version=2)
        assert set(outcomes.values()) == {Done(version=2, created=(True,), completed=(True,))}
        sent = [f"{what} of {key}" for key in KEYS_AT_ONCE if key != lost for what in ("mail", "task")]
        found = await left_over(harness, other)
        assert [one for one in found if not one.startswith("wake")] == sorted(sent)

    async def test_c4_a_refused_step_fails_no_other_step(self, harness: Harness) -> None:
        """One huge record among small ones."""
        backend = await harness.open_backend()
        size = at_limit(backend.store.capabilities.record_bytes_max, "record_bytes_max")
        for key in KEYS_AT_ONCE:
            await begin(backend.store, key)

        steps = [Step(append=addition(key, 1)) for key in KEYS_AT_ONCE]
        steps[3] = Step(append=addition(KEYS_AT_ONCE[3], 1, record=bytes(size + 1)))
        calls = [harness.begin(backend.committer.commit(step)) for step in steps]

        with pytest.raises(Misuse):
            await harness.finish(calls.pop(3))
        assert [await harness.finish(call) for call in calls] == [Done(version=2)] * (COUNT - 1)

    async def test_c4_a_cancelled_step_fails_no_other_step(self, harness: Harness) -> None:
        """One instance's turn is given up while others are in the same group."""
        backend = await harness.open_backend()
        for key in KEYS_AT_ONCE:
            await begin(backend.store, key)

        calls = [harness.begin(backend.committer.commit(Step(append=addition(key, 1)))) for key in KEYS_AT_ONCE]
        await asyncio.sleep(0)
        calls.pop(0).cancel()
        calls.pop(7).cancel()

        assert [await harness.finish(call) for call in calls] == [Done(version=2)] * (COUNT - 2)

    async def test_c4_of_steps_of_one_key_one_wins(self, harness: Harness) -> None:
        """Sixteen workers have run the same turn: one outbox goes out."""
        backends = [await harness.open_backend() for _ in range(COUNT)]
        await begin(backends[0].store, Key("order"))

        calls = [
            harness.begin(
                backend.committer.commit(
                    Step(
                        append=addition(Key("order"), 1, turn_id=f"by-{who}"),
                        send=(message(TASKS, f"task by-{who}"),),
                    )
                )
            )
            for who, backend in enumerate(backends)
        ]
        outcomes = [await harness.finish(call) for call in calls]

        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
        assert outcomes.count(Conflict(version=2)) == COUNT - 1
        (winner,) = (await turn_ids(backends[0], Key("order")))[1:]
        assert await left_over(harness, backends[0]) == [f"task {winner}"]

    async def test_c4_of_steps_of_one_key_by_one_client_one_wins(self, harness: Harness) -> None:
        """The same within one group: the second of them meets the first one's record."""
        backend = await harness.open_backend()
        await begin(backend.store, Key("order"))

        calls = [
            harness.begin(backend.committer.commit(Step(append=addition(Key("order"), 1, turn_id=f"by-{who}"))))
            for who in range(COUNT)
        ]
        outcomes = [await harness.finish(call) for call in calls]

        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
        assert outcomes.count(Conflict(version=2)) == COUNT - 1

    async def test_c4_a_long_chain_and_its_neighbours_each_go_their_way(self, harness: Harness) -> None:
        """Eight instances take twenty turns each, all at once."""
        backends = [await harness.open_backend() for _ in range(4)]
        keys = KEYS_AT_ONCE[:8]
        for key in keys:
            await backends[0].store.append(creation(key))

        async def take_turns(who: int) -> None:
            for expected in range(1, 21):
                step = Step(append=addition(keys[who], expected), send=(message(TURNS, group=keys[who]),))
                assert await backends[who % 4].committer.commit(step) == Done(version=expected + 1)

        for call in [harness.begin(take_turns(who)) for who in range(8)]:
            await harness.finish(call)

        for key in keys:
            assert len(await turn_ids(backends[0], key)) == 21
