"""Connections, sessions and links frame by frame: windows, sizes, silence, and refusals."""

from __future__ import annotations

import pytest
from _peer import Peer, namespace
from _receiver import data, raw
from perdure_servicebus_emulator import Queue
from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._connection import MOVES, ConnectionState
from perdure_servicebus_emulator._errors import Condition


@pytest.fixture
def peer() -> Peer:
    return Peer(namespace(Queue("q"), Queue("s", requires_session=True)))


def test_every_state_of_a_connection_ends() -> None:
    """Whatever the peer does or leaves, there is a way out."""
    for state in ConnectionState:
        assert ConnectionState.CLOSED in {new for (old, _), new in MOVES.items() if old is state}


def test_a_message_is_cut_at_the_size_of_frames_that_the_peer_takes(peer: Peer) -> None:
    peer.begin(frame_bytes_max=512)
    peer.send_to("q", raw("x" * 2000))
    peer.sizes.clear()

    peer.receive_from("q", credit=1)

    transfers = [frame for frame in peer.heard if isinstance(frame, wire.Transfer)]
    assert max(peer.sizes) <= 512
    assert [transfer.more for transfer in transfers] == [True] * (len(transfers) - 1) + [False]
    assert len({transfer.delivery_id for transfer in transfers}) == 1
    assert b"".join(peer.payloads).endswith(data("x" * 2000))


def test_frames_wait_for_the_window_of_the_session(peer: Peer) -> None:
    peer.begin(frame_bytes_max=512)
    peer.send_to("q", raw("x" * 1000), raw("b"))

    peer.receive_from("q", credit=2, window=1)
    assert [transfer.more for transfer in peer.heard if isinstance(transfer, wire.Transfer)] == [True]
    peer.flow(1, credit=2, window=1)
    assert peer.count(wire.Transfer) == 2

    peer.flow(1, credit=2, window=10)
    assert b"".join(peer.payloads).endswith(data("b"))


def test_a_peer_that_hears_nothing_for_half_its_idle_time_gets_an_empty_frame(peer: Peer) -> None:
    peer.begin(idle_ms=10_000)

    peer.let_time_pass(5)

    assert peer.heartbeats == 1


def test_a_peer_from_which_nothing_comes_is_left(peer: Peer) -> None:
    peer.begin()

    peer.let_time_pass(240)

    error = peer.last(wire.Close).error
    assert error is not None
    assert error.condition == "amqp:connection:forced"
    assert peer.connection.is_closed


def test_who_does_not_answer_our_close_is_not_waited_for(peer: Peer) -> None:
    """After a broken frame no answer can be cut from the stream: broken clients must not pile up."""
    peer.begin()
    peer.write(b"\x00\x00\x00\x04\x02\x00\x00\x00")
    peer.listen()
    assert peer.last(wire.Close).error is not None
    assert not peer.connection.is_closed

    peer.let_time_pass(5)

    assert peer.connection.is_closed


@pytest.mark.parametrize(
    ("attach", "condition"),
    [
        pytest.param(
            wire.Attach("l", 0, role=True, source=wire.Source("nowhere"), target=wire.Target("me")),
            Condition.NOT_FOUND,
            id="no such queue",
        ),
        pytest.param(
            wire.Attach("l", 0, role=True, source=wire.Source("t/Subscriptions/x"), target=wire.Target("me")),
            Condition.NOT_FOUND,
            id="a subscription",
        ),
        pytest.param(
            wire.Attach("l", 0, role=False, source=wire.Source("me"), target=wire.Target("q/$DeadLetterQueue")),
            Condition.NOT_ALLOWED,
            id="sending dead letters",
        ),
        pytest.param(
            wire.Attach("l", 0, role=True, source=wire.Source("s"), target=wire.Target("me")),
            Condition.NOT_ALLOWED,
            id="no session named",
        ),
        pytest.param(
            wire.Attach("l", 0, role=True, source=wire.Source("amqp://[broken/q"), target=wire.Target("me")),
            Condition.INVALID_FIELD,
            id="an address that is none",
        ),
        pytest.param(wire.Attach("l", 0, role=False), Condition.INVALID_FIELD, id="no address"),
    ],
)
def test_a_link_that_leads_nowhere_is_attached_to_nothing_and_detached(
    peer: Peer, attach: wire.Attach, condition: str
) -> None:
    """A detach alone would break the connection of the SDK."""
    peer.begin()
    peer.heard.clear()

    peer.tell(attach)

    answer, detach = peer.heard
    assert isinstance(answer, wire.Attach)
    assert (answer.name, answer.source, answer.target) == ("l", None, None)
    assert isinstance(detach, wire.Detach)
    assert detach.error is not None
    assert (detach.closed, detach.error.condition) == (True, condition)
    peer.send_to("q", raw("a"))
    assert peer.last(wire.Disposition).state == wire.Accepted()


def test_a_link_that_is_gone_may_be_detached_once_more(peer: Peer) -> None:
    """The SDK does so when it closes, and goes on on the channel of a session that has ended."""
    peer.begin()
    peer.tell(wire.Detach(5, closed=True))
    peer.send_to("q", raw("a"))
    assert peer.last(wire.Disposition).state == wire.Accepted()

    peer.tell(wire.End())
    peer.tell(wire.Detach(9, closed=True))
    peer.tell(wire.Begin(None, 0, 10, 10, 255))

    assert (peer.count(wire.Begin), peer.count(wire.End), peer.count(wire.Close)) == (2, 1, 0)


def test_a_transaction_is_refused(peer: Peer) -> None:
    peer.begin()
    coordinator = codec.described(0x30, codec.list_([]))
    fields = [codec.string("l"), codec.uint(0), codec.boolean(value=False), *[codec.NULL] * 3, coordinator]

    peer.write(_frame(codec.described(0x12, codec.list_(fields))))
    peer.listen()

    error = peer.last(wire.Detach).error
    assert error is not None
    assert error.condition == Condition.NOT_IMPLEMENTED


def _frame(body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + b"\x02\x00\x00\x00" + body


def test_an_abandoned_message_comes_with_the_properties_that_were_set(peer: Peer) -> None:
    peer.begin()
    peer.send_to("q", raw("a"))
    peer.receive_from("q", credit=1)
    delivery_id = peer.last(wire.Transfer).delivery_id
    assert delivery_id is not None

    outcome = wire.Modified(delivery_failed=True, message_annotations={"tried": "once"})
    peer.tell(wire.Disposition(role=True, first=delivery_id, state=outcome))
    peer.flow(1, credit=1)

    assert peer.last(wire.Disposition).state == wire.Modified(delivery_failed=True)
    assert codec.string("tried") + codec.string("once") in peer.payloads[-1]


def test_properties_that_no_message_can_have_are_refused(peer: Peer) -> None:
    peer.begin()
    peer.send_to("q", raw("a"))
    peer.receive_from("q", credit=1)
    pairs = codec.map_({codec.symbol("list"): codec.list_([codec.uint(1)])})
    modified = codec.described(0x27, codec.list_([codec.boolean(value=True), codec.NULL, pairs]))
    fields = [codec.boolean(value=True), codec.uint(0), codec.NULL, codec.NULL, modified]

    peer.write(_frame(codec.described(0x15, codec.list_(fields))))
    peer.listen()

    answer = peer.last(wire.Disposition).state
    assert isinstance(answer, wire.Rejected)
    assert answer.error is not None
    assert answer.error.condition == Condition.ARGUMENT
    assert peer.count(wire.Close) == 0


def test_who_does_not_read_is_sent_no_more(peer: Peer) -> None:
    """Credit is the client's promise, memory is ours: what it does not read stays in the queue, unlocked."""
    peer.begin()
    peer.send_to("q", *[raw("x" * 60_000) for _ in range(10)])
    peer.connection.take_output(0.0)

    peer.connection.receive(_frame(wire.encode(_receiver())) + _frame(wire.encode(_credit(10))), 0.0)

    assert not peer.connection.has_room
    assert len(peer.connection.take_output(0.0)) < 500_000
    peer.connection.pull()
    assert not peer.connection.has_room


def _receiver() -> wire.Attach:
    return wire.Attach("from", 1, role=True, rcv_settle_mode=1, source=wire.Source("q"), target=wire.Target("me"))


def _credit(credit: int) -> wire.Flow:
    return wire.Flow(0, 1000, 10, 1000, 1, None, credit)
