"""Looking without touching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _place import bodies

if TYPE_CHECKING:
    from _place import Place


async def test_b78_peeking_shows_locked_messages_and_locks_none(place: Place) -> None:
    await place.send("a", "b", "c")
    locked = await place.receive_one()

    seen = await place.receiver.peek_messages(10, sequence_number=1)

    assert bodies(seen) == ["a", "b", "c"]
    numbers = [message.sequence_number for message in seen]
    assert numbers == sorted(numbers)
    rest = await place.receive(2)
    assert bodies([locked, *rest]) == ["a", "b", "c"]
    assert [message.delivery_count for message in rest] == [0, 0]


async def test_b79_peeking_begins_where_it_is_told_and_goes_on_from_there(place: Place) -> None:
    await place.send("a", "b", "c", "d", "e")
    first = await place.receive_one()
    await place.receiver.complete_message(first)

    assert bodies(await place.receiver.peek_messages(2, sequence_number=first.sequence_number)) == ["b", "c"]
    assert bodies(await place.receiver.peek_messages(10)) == ["d", "e"]
    assert bodies(await place.receiver.peek_messages(10, sequence_number=first.sequence_number + 3)) == ["d", "e"]


async def test_b80_where_there_is_nothing_more_the_answer_is_empty(place: Place) -> None:
    assert await place.receiver.peek_messages(10) == []
    await place.send("a")
    (only,) = await place.receiver.peek_messages(10)

    assert await place.receiver.peek_messages(10) == []
    assert await place.receiver.peek_messages(10, sequence_number=only.sequence_number + 1) == []


async def test_b81_dead_letters_are_shown_in_their_own_queue(place: Place) -> None:
    await place.send("dead", "alive")
    letters = await place.dead_letters()

    await place.receiver.dead_letter_message(await place.receive_one())

    assert await place.peek() == ["alive"]
    assert await place.peek(letters) == ["dead"]
