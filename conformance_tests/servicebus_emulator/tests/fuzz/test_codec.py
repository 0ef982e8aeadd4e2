"""Whatever bytes come, the codec reads them or refuses them in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from _broken_bytes import BATCH, FRAMES, MAPS, MESSAGES
from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _message as message
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._frames import FrameReader, FramingError, frame_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Inputs = Callable[[Sequence[bytes]], Iterator[bytes]]

FRAME_BYTES_MAX = 65_536


def count_read(function: Callable[[bytes], Any], inputs: Iterator[bytes]) -> tuple[int, int]:
    """Count what is read and what is refused; anything else than a refusal fails the test and shows the input."""
    read = refused = 0
    for raw in inputs:
        try:
            function(raw)
        except codec.DecodeError:
            refused += 1
        except BaseException as exc:
            exc.add_note(f"The input was bytes.fromhex({raw.hex()!r}).")
            raise
        else:
            read += 1
    return read, refused


@pytest.mark.parametrize(
    ("function", "whole"),
    [
        pytest.param(codec.decode, FRAMES, id="value"),
        pytest.param(codec.skip, FRAMES, id="end of a value"),
        pytest.param(codec.list_bounds, [frame[3:] for frame in FRAMES], id="list"),
        pytest.param(codec.split_map, MAPS, id="map"),
        pytest.param(wire.decode, FRAMES, id="frame"),
        pytest.param(message.cut, MESSAGES, id="message"),
        pytest.param(message.cut_batch, [BATCH], id="batch"),
    ],
)
def test_broken_bytes_are_read_or_refused(
    function: Callable[[bytes], Any], whole: Sequence[bytes], inputs: Inputs
) -> None:
    for raw in whole:
        function(raw)

    read, refused = count_read(function, inputs(whole))

    assert read > 0
    assert refused > 0


def test_a_message_that_was_read_can_be_written_and_read_again(inputs: Inputs) -> None:
    """What is let in goes out again: a message that no receiver can read would poison its queue."""
    seen = 0
    for raw in inputs(MESSAGES):
        try:
            content = message.cut(raw)
        except codec.DecodeError:
            continue
        try:
            again = message.cut(message.encode(content, 3, b"", 0))
        except codec.DecodeError as exc:
            raise AssertionError(f"It was let in, and cannot be read: {raw.hex()}") from exc
        assert (again.message_id, again.session_id, again.body) == (
            content.message_id,
            content.session_id,
            content.body,
        )
        seen += 1
    assert seen > 0


def test_a_message_that_was_read_can_be_dead_lettered(inputs: Inputs) -> None:
    """The reason is added much later, by a clock and not by its sender: then nobody can be told that it is broken."""
    seen = 0
    for raw in inputs(MESSAGES):
        try:
            content = message.cut(raw)
        except codec.DecodeError:
            continue
        try:
            content.add_texts(message.text_pairs({"DeadLetterReason": "why"}))
            written = message.encode(content, 3, b"", 0)
        except codec.DecodeError as exc:
            raise AssertionError(f"It was let in, and cannot be dead-lettered: {raw.hex()}") from exc
        assert b"DeadLetterReason" in written
        seen += 1
    assert seen > 0


def test_skipping_and_reading_end_at_the_same_place(inputs: Inputs) -> None:
    agreed = 0
    for raw in inputs(FRAMES):
        try:
            _, end = codec.decode(raw)
        except codec.DecodeError:
            continue
        assert codec.skip(raw) == end <= len(raw), raw.hex()
        agreed += 1
    assert agreed > 0


def test_a_broken_stream_is_cut_into_frames_or_refused(inputs: Inputs) -> None:
    stream = [frame_bytes(0, body) for body in FRAMES]
    cut = refused = 0
    for raw in inputs([b"".join(stream[:3]), b"".join(stream[3:]), *stream]):
        reader = FrameReader(FRAME_BYTES_MAX)
        reader.feed(raw)
        try:
            while (frame := reader.take()) is not None:
                assert len(frame.body) <= FRAME_BYTES_MAX
                cut += 1
        except FramingError:
            refused += 1
    assert cut > 0
    assert refused > 0
