"""One connection: protocol headers, sign-in, frames, sessions, heartbeats. Bytes in, bytes out, and no socket.

Time is an argument: seconds of any clock that only grows.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from perdure_servicebus_emulator import _performatives as performatives
from perdure_servicebus_emulator._codec import DecodeError
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_HEADER,
    FrameReader,
    FramingError,
    frame_bytes,
)
from perdure_servicebus_emulator._performatives import (
    Begin,
    Close,
    Open,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
)
from perdure_servicebus_emulator._session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure_servicebus_emulator._frames import Frame as RawFrame
    from perdure_servicebus_emulator._namespace import Namespace
    from perdure_servicebus_emulator._performatives import Composite, Frame

__all__ = ["MOVES", "Connection", "ConnectionEvent", "ConnectionState"]

_FRAME_BYTES_MAX = 64 * 1024
_FRAME_BYTES_MIN = 512  # The least that the standard allows.
_CHANNEL_MAX = 4_999  # The service's limit.
_IDLE_SECONDS_MAX = 240.0  # The service's limit.
_GOODBYE_SECONDS = 5.0  # For the answer to our Close.
_OUTPUT_BYTES_MAX = 256 * 1024  # While so much waits to be written, no messages are added.
_MECHANISMS = ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")
_SASL = 1


class ConnectionState(Enum):
    """Where a connection is. A closing one has said why and waits for the peer to close."""

    NEW = auto()
    SIGNING_IN = auto()
    SIGNED_IN = auto()
    HEADERS_DONE = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class ConnectionEvent(Enum):
    """What moves it."""

    SASL_HEADER = auto()
    AMQP_HEADER = auto()
    SASL_INIT = auto()
    OPEN = auto()
    CLOSED_BY_PEER = auto()
    FAILED = auto()
    LOST = auto()


MOVES: dict[tuple[ConnectionState, ConnectionEvent], ConnectionState] = {
    (ConnectionState.NEW, ConnectionEvent.SASL_HEADER): ConnectionState.SIGNING_IN,
    (ConnectionState.NEW, ConnectionEvent.AMQP_HEADER): ConnectionState.HEADERS_DONE,  # Allowed: nothing is checked.
    (ConnectionState.SIGNING_IN, ConnectionEvent.SASL_INIT): ConnectionState.SIGNED_IN,
    (ConnectionState.SIGNED_IN, ConnectionEvent.AMQP_HEADER): ConnectionState.HEADERS_DONE,
    (ConnectionState.HEADERS_DONE, ConnectionEvent.OPEN): ConnectionState.OPEN,
    (ConnectionState.OPEN, ConnectionEvent.CLOSED_BY_PEER): ConnectionState.CLOSED,
    (ConnectionState.OPEN, ConnectionEvent.FAILED): ConnectionState.CLOSING,
    (ConnectionState.CLOSING, ConnectionEvent.CLOSED_BY_PEER): ConnectionState.CLOSED,
    # Whose headers or open failed does not speak AMQP, or not yet: there is nobody to wait for.
    (ConnectionState.NEW, ConnectionEvent.FAILED): ConnectionState.CLOSED,
    (ConnectionState.SIGNING_IN, ConnectionEvent.FAILED): ConnectionState.CLOSED,
    (ConnectionState.SIGNED_IN, ConnectionEvent.FAILED): ConnectionState.CLOSED,
    (ConnectionState.HEADERS_DONE, ConnectionEvent.FAILED): ConnectionState.CLOSED,
    **{(state, ConnectionEvent.LOST): ConnectionState.CLOSED for state in ConnectionState},
}

_BEFORE_OPEN = frozenset({ConnectionState.NEW, ConnectionState.SIGNING_IN, ConnectionState.SIGNED_IN})
_ON_HEADER = {SASL_HEADER: ConnectionEvent.SASL_HEADER, AMQP_HEADER: ConnectionEvent.AMQP_HEADER}
_READS_HEADER = frozenset({ConnectionState.NEW, ConnectionState.SIGNED_IN})


class Connection:
    """A connection.

    Args:
        namespace: What links lead to.
        now: The time, in seconds.
        on_output: Called when there is something to `take_output`, also when it was not asked for.
    """

    def __init__(self, namespace: Namespace, now: float, on_output: Callable[[], None]) -> None:
        self.namespace = namespace
        self.state = ConnectionState.NEW
        self.is_aborted = False
        self.is_authorized = False
        self.is_writable = True
        self.frame_bytes_max = _FRAME_BYTES_MIN
        self._on_output = on_output
        self._reader = FrameReader(_FRAME_BYTES_MAX)
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._sessions: dict[int, Session] = {}
        self._ended_channels: set[int] = set()
        self._peer_idle_seconds: float | None = None
        self._received_at = self._sent_at = now
        self._ends_at: float | None = None
        self.failure: Refused | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is read; what there is to write is written first."""
        return self.state is ConnectionState.CLOSED

    @property
    def has_room(self) -> bool:
        """Whether messages may be added to what is to be written."""
        return self.is_writable and self._output_bytes < _OUTPUT_BYTES_MAX

    # ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, now: float) -> None:
        """Follow what the peer wrote. Bytes that are no AMQP end the connection, and nothing else."""
        self._received_at = now
        self._reader.feed(data)
        try:
            while not self.is_closed and self._take_one():
                pass
        except FramingError as error:
            self.close(Refused(Condition.FRAMING, str(error)))
        except DecodeError as error:
            self.close(Refused(Condition.DECODE, str(error)))
        except Refused as refused:
            self.close(refused)

    def _take_one(self) -> bool:
        if self.state in _READS_HEADER:
            header = self._reader.take_header()
            if header is not None:
                self._on_header(header)
            return header is not None
        frame = self._reader.take()
        if frame is not None and frame.body:
            self._on_frame(frame)
        return frame is not None

    def take_output(self, now: float) -> bytes:
        """Take what is to be written."""
        output = b"".join(self._output)
        self._clear_output()
        if output:
            self._sent_at = now
        return output

    def send(self, channel: int, frame: Composite, payload: bytes = b"", *, kind: int = 0) -> None:
        """Write a frame."""
        self._write(frame_bytes(channel, performatives.encode(frame) + payload, kind=kind))

    def _write(self, data: bytes) -> None:
        if not self._output:
            self._on_output()
        self._output.append(data)
        self._output_bytes += len(data)

    def _clear_output(self) -> None:
        self._output.clear()
        self._output_bytes = 0

    # ── begin ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_header(self, header: bytes) -> None:
        event = _ON_HEADER.get(header)
        if event is None or not self.move(event):
            self._write(SASL_HEADER)  # Says what is spoken here, as the standard asks.
            raise Refused(Condition.FRAMING, f"The protocol header {header!r} is not expected here.")
        self._write(header)
        if self.state is ConnectionState.SIGNING_IN:
            self.send(0, SaslMechanisms(_MECHANISMS), kind=_SASL)

    def _on_frame(self, raw: RawFrame) -> None:
        frame, payload = performatives.decode(raw.body)
        if raw.kind == _SASL:
            self._on_sasl(frame)
        elif isinstance(frame, Open):
            self._on_open(frame)
        elif isinstance(frame, Close):
            self._on_close()
        elif self.state is not ConnectionState.OPEN:
            self._require(self.state is ConnectionState.CLOSING, "A connection begins with an Open.")
        elif isinstance(frame, Begin):
            self._on_begin(raw.channel, frame)
        elif raw.channel in self._sessions:
            self._sessions[raw.channel].on_frame(cast("Frame", frame), payload)
        else:  # The SDK goes on for a while on the channel of a session that has ended.
            self._require(raw.channel in self._ended_channels, f"No session has the channel {raw.channel}.")

    def _on_sasl(self, frame: Composite) -> None:
        is_init = isinstance(frame, SaslInit)
        self._require(is_init and self.move(ConnectionEvent.SASL_INIT), "A SASL frame that is not expected here.")
        self.send(0, SaslOutcome(0), kind=_SASL)  # Who one is, `$cbs` looks at.

    def _on_open(self, frame: Open) -> None:
        self._require(self.move(ConnectionEvent.OPEN), "A second Open, or one before the headers.")
        if frame.max_frame_size < _FRAME_BYTES_MIN:
            raise Refused(Condition.INVALID_FIELD, f"max-frame-size must be {_FRAME_BYTES_MIN} or more.")
        self.frame_bytes_max = min(frame.max_frame_size, _FRAME_BYTES_MAX)
        if frame.idle_time_out:
            self._peer_idle_seconds = frame.idle_time_out / 1000
        idle_ms = round(_IDLE_SECONDS_MAX * 1000)
        self.send(0, Open("perdure-servicebus-emulator", None, _FRAME_BYTES_MAX, _CHANNEL_MAX, idle_ms))

    def _on_begin(self, channel: int, frame: Begin) -> None:
        self._require(channel not in self._sessions, f"The channel {channel} is in use.")
        self._require(channel <= _CHANNEL_MAX, f"The highest channel is {_CHANNEL_MAX}.")
        self._ended_channels.discard(channel)
        self._sessions[channel] = Session(self, channel, frame)

    def _require(self, is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - What must be so.
        if not is_so:
            raise Refused(Condition.NOT_ALLOWED, otherwise)

    def forget(self, channel: int) -> None:
        """Let a session's channel be used again."""
        self._sessions.pop(channel, None)
        self._ended_channels.add(channel)

    # ── end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def move(self, event: ConnectionEvent) -> bool:
        """Follow an event; whether it was legal."""
        new = MOVES.get((self.state, event))
        if new is None:
            return False
        self.state = new
        return True

    def _on_close(self) -> None:
        is_answer = self.state is ConnectionState.CLOSING
        self._require(self.move(ConnectionEvent.CLOSED_BY_PEER), "A Close before an Open.")
        if not is_answer:
            self._end_sessions()
            self.send(0, Close())
        self._on_output()

    def close(self, refused: Refused) -> None:
        """End the connection and tell the peer why."""
        is_early = self.state in _BEFORE_OPEN
        if self.move(ConnectionEvent.FAILED):
            self.failure, self._ends_at = refused, self._received_at + _GOODBYE_SECONDS
            self._end_sessions()
            if not is_early:
                self.send(0, Close(refused.error))
        elif self.state is ConnectionState.CLOSING:
            self.lost()  # Even while it closes it sends what is no AMQP.
        self._on_output()

    def abort(self) -> None:
        """End the connection at once, as a cable that is cut: what was to be written is not."""
        self.is_aborted = True
        self._clear_output()
        self.lost()
        self._on_output()

    def lost(self) -> None:
        """Hear that the peer is gone."""
        if not self.is_closed:
            self.move(ConnectionEvent.LOST)
            self._end_sessions()

    def _end_sessions(self) -> None:
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            session.close()

    def sessions(self) -> list[Session]:
        """List the sessions."""
        return list(self._sessions.values())

    def pull(self) -> None:
        """Let links send for which there may be room again."""
        for session in self.sessions():
            session.pull()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def next_tick(self) -> float:
        """Return when `tick` is to be called."""
        if self._ends_at is not None:
            return self._ends_at
        end = self._received_at + _IDLE_SECONDS_MAX
        return end if self._peer_idle_seconds is None else min(end, self._sent_at + self._peer_idle_seconds / 2)

    def tick(self, now: float) -> None:
        """Show that we are still here; end the connection if the peer does not."""
        if self._ends_at is not None and now >= self._ends_at:
            self.lost()  # What comes after a broken frame cannot be cut, and so no answer will be heard.
            self._on_output()
        elif now - self._received_at >= _IDLE_SECONDS_MAX:
            self.close(
                Refused(Condition.CLOSE_FORCED, f"The connection was inactive for {_IDLE_SECONDS_MAX:.0f} seconds.")
            )
            self.lost()  # There may be nobody who would answer.
        elif self._peer_idle_seconds is not None and now - self._sent_at >= self._peer_idle_seconds / 2:
            self._write(EMPTY_FRAME)
