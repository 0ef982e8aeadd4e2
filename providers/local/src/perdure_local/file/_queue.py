"""FileQueue: one file per message, moved from folder to folder."""

from __future__ import annotations

import asyncio
import itertools
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from perdure.spi import (
    DeadLetter,
    DeadLetters,
    Delivery,
    Envelope,
    Misuse,
    QueueCapabilities,
    QueueName,
    SendOutcome,
    WorkerId,
    WorkQueue,
    encode_part,
    queue_class,
)
from perdure_local.file._folder import check_location, prepare_folder
from perdure_local.file._messages import Messages, Moment, Taken
from perdure_local.file._threads import Threads
from perdure_local.sqlite._waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from perdure.spi import Environment, Location

__all__ = ["FileQueue"]

_LOOK_FIRST_SECONDS, _LOOK_LAST_SECONDS = 0.02, 0.5
_YEAR_SECONDS = 365 * 86_400
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_QUEUE = QueueCapabilities(
    body_bytes_max=2**20,
    delay_seconds_max=10 * _YEAR_SECONDS,
    lease_seconds_max=86_400,
    lease_total_seconds_max=math.inf,
    deliveries_max=20,
    send_batch_max=1000,
    receive_batch_max=1000,
    exclusive_groups=False,
    detects_lost_lease=True,
)


class FileQueue(WorkQueue, DeadLetters):
    """The queues of a hub in plain files of this machine.

    Receivers in this process are woken by senders in it; messages of other processes are noticed within half a second.

    Args:
        location: `file:FOLDER`; the folder is created where there is none.
        environment: The hub's clock and entropy. The monotonic clock must be the machine's, as `SystemClock` is.
    """

    capabilities: Mapping[str, QueueCapabilities] = {"turns": _QUEUE, "tasks": _QUEUE}

    _opened: ClassVar[set[FileQueue]] = set()

    def __init__(self, location: Location, environment: Environment) -> None:
        check_location(location)
        self._path = location.path
        self._clock = environment.clock
        self._entropy = environment.entropy
        self._threads = Threads(location.url)
        self._folder = Path()
        self._queues: dict[QueueName, Messages] = {}
        self._waiting: Waiting[QueueName] = Waiting()
        self._numbers = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._boot = ""

    async def open(self) -> None:
        self._folder = prepare_folder(self._path, "queues")
        self._boot = _read_boot_id()
        self._loop = asyncio.get_running_loop()
        self._threads.open()
        self._opened.add(self)

    async def aclose(self) -> None:
        self._opened.discard(self)
        self._threads.close()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        self._check(messages)
        by_queue: dict[QueueName, list[tuple[str, Envelope]]] = {}
        for message in messages:
            by_queue.setdefault(message.queue, []).append((self._new_id(), message))
        at = self._moment()
        for queue, part in by_queue.items():
            await self._threads.run(partial(self._send, queue, part, at))
        self._wake(by_queue)
        return [SendOutcome(message.message_id) for message in messages]

    def _send(self, queue: QueueName, messages: list[tuple[str, Envelope]], at: Moment) -> None:
        self._messages(queue).send(messages, at)

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        del worker
        _check_lease(queue, lease_seconds)
        if limit < 1:
            raise Misuse(f"Receive at least 1 message from {queue!r}, not {limit}.")
        deadline = self._clock.monotonic() + wait_seconds
        pause = _LOOK_FIRST_SECONDS
        # The event is there before the look: what comes between look and wait sets it.
        with self._waiting.change_of(queue) as change:
            while True:
                change.clear()
                taken = await self._take(queue, limit, lease_seconds)
                patience = deadline - self._clock.monotonic()
                if taken.deliveries or patience <= 0:
                    return taken.deliveries
                known = math.inf if taken.pause is None else max(taken.pause, 0.001)
                await self._clock.wait(change, min(patience, pause, known))
                pause = min(pause * 1.5, _LOOK_LAST_SECONDS)

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return await self._change(deliveries, lambda messages, receipts: messages.complete(receipts, self._moment()))

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        for delivery in deliveries:
            _check_delay(delivery.envelope.queue, delay_seconds)
        await self._change(
            deliveries, lambda messages, receipts: messages.abandon(receipts, self._moment(), delay_seconds)
        )
        self._wake(delivery.envelope.queue for delivery in deliveries)

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        for delivery in deliveries:
            _check_lease(delivery.envelope.queue, lease_seconds)
        return await self._change(
            deliveries, lambda messages, receipts: messages.renew(receipts, self._moment(), lease_seconds)
        )

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        await self._change(
            deliveries, lambda messages, receipts: messages.dead_letter(receipts, self._moment(), reason)
        )

    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        return await self._threads.run(lambda: self._messages(queue).peek(limit))

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        answers = await self._change(
            letters,
            lambda messages, receipts: messages.redrive(receipts, [self._new_id() for _ in receipts], self._moment()),
        )
        self._wake(letter.envelope.queue for letter in letters)
        return answers

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return await self._change(letters, lambda messages, receipts: messages.drop(receipts))

    async def _change(
        self, items: Sequence[Delivery | DeadLetter], change: Callable[[Messages, list[str]], list[bool]]
    ) -> list[bool]:
        """Change messages queue by queue; give one answer for each, in order."""
        by_queue: dict[QueueName, list[str]] = {}
        for item in items:
            by_queue.setdefault(item.envelope.queue, []).append(item.receipt)
        answers: dict[str, bool] = {}
        for queue, receipts in by_queue.items():
            changed = await self._threads.run(partial(self._apply, queue, receipts, change))
            answers.update(zip(receipts, changed, strict=True))
        return [answers[item.receipt] for item in items]

    def _apply(
        self, queue: QueueName, receipts: list[str], change: Callable[[Messages, list[str]], list[bool]]
    ) -> list[bool]:
        return change(self._messages(queue), receipts)

    async def _take(self, queue: QueueName, limit: int, lease_seconds: float) -> Taken:
        most = min(limit, _limits_of(queue).receive_batch_max)
        return await self._threads.run(
            lambda: self._messages(queue).receive(most, lease_seconds, self._moment()),
            undo=lambda taken: self._put_back(queue, taken),
        )

    def _put_back(self, queue: QueueName, taken: Taken) -> None:
        """Give back what was taken for a receiver that was cancelled meanwhile."""
        self._messages(queue).abandon([delivery.receipt for delivery in taken.deliveries], self._moment(), 0)

    def _messages(self, queue: QueueName) -> Messages:
        """Find the files of a queue; on a thread, since they may have to be made."""
        found = self._queues.get(queue)
        if found is None:
            folder = self._folder / "queues" / encode_part(queue)
            found = self._queues[queue] = Messages(folder, queue, _limits_of(queue).deliveries_max)
        return found

    def _wake(self, queues: Iterable[QueueName]) -> None:
        """Wake the receivers of this process; those of others look by themselves."""
        names = set(queues)
        for other in self._opened:
            other.wake_receivers(names, self._folder, self._loop)

    def wake_receivers(self, queues: Iterable[QueueName], folder: Path, loop: asyncio.AbstractEventLoop | None) -> None:
        """Wake those who wait for one of these queues, if this is a client of that folder on that event loop."""
        if self._folder == folder and self._loop is loop:
            self._waiting.wake(queues)

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic(), self._boot)

    def _new_id(self) -> str:
        return f"{next(self._numbers):08x}{self._entropy.random_bytes(8).hex()}"

    def _check(self, messages: Sequence[Envelope]) -> None:
        now = self._clock.now()
        for message in messages:
            limits = _limits_of(message.queue)
            _check_text(message.message_id, message.group)
            if not math.isfinite(message.not_before):
                raise Misuse(
                    f"Message {message.message_id!r}: not_before is {message.not_before}, no time: 0 is at once."
                )
            if len(message.body) > limits.body_bytes_max:
                raise Misuse(
                    f"Message {message.message_id!r}: a body has at most body_bytes_max={limits.body_bytes_max} bytes, "
                    f"this one has {len(message.body)}: put what is large out of line."
                )
            _check_delay(message.queue, max(0.0, message.not_before - now))


def _read_boot_id() -> str:
    """Tell which start of the machine this is; always the same where that is not to be found out."""
    return _BOOT.read_text("ascii")[:8] if _BOOT.exists() else "boot"


def _limits_of(queue: QueueName) -> QueueCapabilities:
    found = FileQueue.capabilities.get(queue_class(queue))
    if found is None:
        classes = " or ".join(FileQueue.capabilities)
        raise Misuse(f"{queue!r} is of no class of queues that there is: begin its name with {classes}.")
    return found


def _check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Misuse(f"{text[:40]!r} holds a lone surrogate: remove it.") from error


def _check_lease(queue: QueueName, lease_seconds: float) -> None:
    most = _limits_of(queue).lease_seconds_max
    if not 0 < lease_seconds <= most:
        raise Misuse(f"{queue}: a lease is above 0 and at most lease_seconds_max={most} seconds, not {lease_seconds}.")


def _check_delay(queue: QueueName, delay_seconds: float) -> None:
    most = _limits_of(queue).delay_seconds_max
    if not 0 <= delay_seconds <= most:
        raise Misuse(
            f"{queue}: a delay is 0 to delay_seconds_max={most} seconds, not {delay_seconds}: send it in hops."
        )
