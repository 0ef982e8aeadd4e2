"""C6, children: mine or another's, and the message that tells it."""

from __future__ import annotations

from perdure.spi import Committed, Done, Key, Step
from perdure_conformance.committer._story import is_there, left_over, turn_ids
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import TASKS, addition, begin, child, creation, message, purge, read_head

__all__ = ["CreateClauses"]


class CreateClauses(Contract):
    """Creating instances within a Step."""

    async def test_c6_a_created_child_is_mine_and_is_woken(self, harness: Harness) -> None:
        """With its first record, and with no word to the parent."""
        backend = await harness.open_backend()
        create = child("child", "inc-1")

        done = await backend.committer.commit(Step(create=(create,)))

        assert done == Done(version=0, created=(True,))
        head = await read_head(backend.store, Key("child"))
        assert (head.version, head.summary) == (1, create.append.summary)
        assert await left_over(harness, backend) == ["wake child for parent"]

    async def test_c6_an_id_that_is_taken_is_told_to_the_parent(self, harness: Harness) -> None:
        """And the instance that has it is neither changed nor woken."""
        backend = await harness.open_backend()
        await begin(backend.store, Key("child"), records=3)

        done = await backend.committer.commit(Step(create=(child("child", "inc-1"),)))

        assert done == Done(version=0, created=(False,))
        assert (await read_head(backend.store, Key("child"))).summary.incarnation == "first"
        assert await left_over(harness, backend) == ["tell parent about child"]

    async def test_c6_an_id_that_is_taken_does_not_fail_the_step(self, harness: Harness) -> None:
        """The turn is recorded, its other children live, its activities run."""
        backend = await harness.open_backend()
        await begin(backend.store, Key("parent"))
        await begin(backend.store, Key("taken"))

        done = await backend.committer.commit(
            Step(
                append=addition(Key("parent"), 1),
                create=(child("one", "inc-1"), child("taken", "inc-2"), child("two", "inc-3")),
                send=(message(TASKS, "task"),),
            )
        )

        assert done == Done(version=2, created=(True, False, True))
        assert await is_there(backend, "one")
        assert await is_there(backend, "two")
        assert await left_over(harness, backend) == [
            "task",
            "tell parent about taken",
            "wake one for parent",
            "wake two for parent",
        ]

    async def test_c6_a_child_that_is_mine_already_is_mine_and_is_woken_again(self, harness: Harness) -> None:
        """A re-sent outbox: the wake-up may have been what was lost."""
        backend = await harness.open_backend()
        step = Step(create=(child("child", "inc-1"),))
        await backend.store.append(step.create[0].append)
        await backend.store.append(addition(Key("child"), 1, incarnation="inc-1"))

        done = await backend.committer.commit(step)

        assert done == Done(version=0, created=(True,))
        assert len(await turn_ids(backend, Key("child"))) == 2
        assert await left_over(harness, backend) == ["wake child for parent"]

    async def test_c6_of_two_parents_one_gets_the_child(self, harness: Harness) -> None:
        """And the other one hears of it: of sixteen, fifteen do."""
        backends = [await harness.open_backend() for _ in range(16)]

        calls = [
            harness.begin(backend.committer.commit(Step(create=(child("child", f"inc-{who}", parent=f"p-{who:02}"),))))
            for who, backend in enumerate(backends)
        ]
        outcomes = [await harness.finish(call) for call in calls]

        created = [outcome.created == (True,) for outcome in outcomes if isinstance(outcome, Done)]
        assert len(created) == 16
        assert sum(created) == 1
        winner = created.index(True)
        head = await read_head(backends[0].store, Key("child"))
        assert (head.summary.incarnation, head.summary.parent) == (f"inc-{winner}", f"p-{winner:02}")
        told = [f"tell p-{who:02} about child" for who in range(16) if who != winner]
        assert await left_over(harness, backends[0]) == [*told, f"wake child for p-{winner:02}"]

    async def test_c6_two_children_of_one_id_in_one_step_are_one_and_a_refusal(self, harness: Harness) -> None:
        """The orchestration asked for the same id twice."""
        backend = await harness.open_backend()

        done = await backend.committer.commit(Step(create=(child("child", "inc-1"), child("child", "inc-2"))))

        assert done == Done(version=0, created=(True, False))
        assert (await read_head(backend.store, Key("child"))).summary.incarnation == "inc-1"

    async def test_c6_a_purged_id_is_taken_for_whoever_does_not_know_of_the_purge(self, harness: Harness) -> None:
        """The condition of a create is the version that was read, as for every append."""
        backend = await harness.open_backend()
        tombstone = await purge(backend.store, Key("child"), await begin(backend.store, Key("child")))

        unaware = await backend.committer.commit(Step(create=(child("child", "inc-1"),)))
        aware = await backend.committer.commit(Step(create=(child("child", "inc-2", expected=tombstone),)))

        assert unaware == Done(version=0, created=(False,))
        assert aware == Done(version=0, created=(True,))

    async def test_c6_a_created_child_can_take_its_first_turn(self, harness: Harness) -> None:
        """Whatever the store keeps of a create is a history like any other."""
        backend = await harness.open_backend()
        await backend.committer.commit(Step(create=(child("child", "inc-1"),)))

        assert await backend.store.append(creation(Key("child"), "inc-1")) == Committed(version=1)
        assert await backend.store.append(addition(Key("child"), 1, incarnation="inc-1")) == Committed(version=2)
