"""A turn as the clauses of a committer tell it: an input, a record, a child, an activity, an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Committed, Create, Delivery, Head, Key, Missing, Step
from perdure_conformance.material import ORDER, TASKS, TURNS, addition, child, creation, ids_of, message

if TYPE_CHECKING:
    from perdure_conformance.harness import Backend, Harness

__all__ = ["begin_turn", "is_there", "left_over", "turn", "turn_ids"]


async def begin_turn(harness: Harness, backend: Backend, key: Key = ORDER) -> Delivery:
    """Create an instance, send it an input, and receive that."""
    assert await backend.store.append(creation(key, f"inc of {key}")) == Committed(version=1)
    await backend.queue.send([message(TURNS, f"input of {key}", group=key)])
    return await harness.receive_one(backend.queue, TURNS)


def turn(
    held: Delivery, key: Key = ORDER, *, expected: int = 1, turn_id: str = "turn", child_incarnation: str = "child"
) -> Step:
    """Give a Step with something of everything."""
    created: Create = child(f"{key}/child", f"{child_incarnation} of {key}", parent=key)
    return Step(
        append=addition(key, expected, turn_id=turn_id, record=turn_id.encode(), incarnation=f"inc of {key}"),
        create=(created,),
        send=(message(TASKS, f"task of {key}"), message(TASKS, f"mail of {key}")),
        complete=(held,),
    )


async def turn_ids(backend: Backend, key: Key = ORDER) -> list[str]:
    """List the turn ids of a history."""
    head = await backend.store.read(key)
    return [record.turn_id for record in head.records] if isinstance(head, Head) else []


async def is_there(backend: Backend, key: str) -> bool:
    """Tell whether an instance exists."""
    return not isinstance(await backend.store.read(Key(key)), Missing)


async def left_over(harness: Harness, backend: Backend) -> list[str]:
    """Receive everything there is now in both queues and tell the ids, sorted, each once."""
    ids: set[str] = set()
    for name in (TURNS, TASKS):
        while found := await harness.look(backend.queue, name):
            ids.update(ids_of(found))
    return sorted(ids)
