"""RedisQueue: a queue is a sorted set of messages by the time at which each may be received.

{hub}:due:QUEUE          zset     number → microseconds on the server's clock: sent, delayed, or the lease's end
{hub}:envelopes:QUEUE    hash     number → envelope
{hub}:counts:QUEUE       hash     number → deliveries so far
{hub}:held:QUEUE         hash     number → the count under which it was delivered; gone once it is given back
{hub}:sent:QUEUE         stream   its ids are the numbers, its last entry wakes who waits
{hub}:dead:QUEUE         stream   envelope, reason, count
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from perdure.spi import (
    DeadLetter,
    DeadLetters,
    Delivery,
    Envelope,
    Misuse,
    QueueCapabilities,
    QueueName,
    SendOutcome,
    Unavailable,
    WorkerId,
    WorkQueue,
    queue_class,
)

from perdure_redis._connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from perdure.spi import Environment, Location

__all__ = ["RedisQueue"]

KINDS = ("due", "envelopes", "counts", "held", "sent", "dead")

SHARED = """
local due, envelopes, counts, held, sent, dead = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function wake() return redis.call('XADD', sent, 'MAXLEN', 1, '*', 'm', '') end

local function add(envelope, delay)
  local number = wake()
  redis.call('HSET', envelopes, number, envelope)
  redis.call('ZADD', due, now + delay, number)
end

local function holds(number, count)
  return redis.call('HGET', held, number) == count and tonumber(redis.call('ZSCORE', due, number)) > now
end

local function remove(number)
  redis.call('ZREM', due, number)
  for _, hash in ipairs({envelopes, counts, held}) do redis.call('HDEL', hash, number) end
end

local function bury(number, reason, count)
  redis.call('XADD', dead, '*', 'envelope', redis.call('HGET', envelopes, number), 'reason', reason, 'count', count)
  remove(number)
end
"""

SEND = "add(ARGV[1], ARGV[2])"

TAKE = """
local limit, lease, most, taken = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), {}
while #taken < limit do
  local number = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1)[1]
  if not number then break end
  local count = redis.call('HINCRBY', counts, number, 1)
  if count > most then
    bury(number, 'Delivered ' .. most .. ' times and never completed.', most)
  else
    redis.call('HSET', held, number, count)
    redis.call('ZADD', due, now + lease, number)
    taken[#taken + 1] = {number, count, redis.call('HGET', envelopes, number)}
  end
end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
local last = redis.call('XREVRANGE', sent, '+', '-', 'COUNT', 1)[1]
return {taken, last and last[1] or '0', first and tonumber(first) - now or -1}
"""

COMPLETE = """
if not holds(ARGV[1], ARGV[2]) then return 0 end
remove(ARGV[1])
return 1
"""

ABANDON = """
if not holds(ARGV[1], ARGV[2]) then return 0 end
redis.call('HDEL', held, ARGV[1])
redis.call('ZADD', due, now + ARGV[3], ARGV[1])
wake()
return 1
"""

RENEW = """
if not holds(ARGV[1], ARGV[2]) then return 0 end
redis.call('ZADD', due, now + ARGV[3], ARGV[1])
return 1
"""

PUT_ASIDE = """
if not holds(ARGV[1], ARGV[2]) then return 0 end
bury(ARGV[1], ARGV[3], ARGV[2])
return 1
"""

REDRIVE = """
local letter = redis.call('XRANGE', dead, ARGV[1], ARGV[1])[1]
if not letter then return 0 end
add(letter[2][2], 0)
return redis.call('XDEL', dead, ARGV[1])
"""

LIMITS = QueueCapabilities(
    body_bytes_max=256 * 2**10,
    delay_seconds_max=30 * 86_400,
    lease_seconds_max=12 * 3600,
    lease_total_seconds_max=float("inf"),
    deliveries_max=10,
    send_batch_max=100,
    receive_batch_max=100,
    exclusive_groups=False,
    detects_lost_lease=True,
)


class RedisQueue(WorkQueue, DeadLetters):
    """Messages of `redis://HOST:PORT/DATABASE?hub=NAME`."""

    capabilities: Mapping[str, QueueCapabilities] = {"turns": LIMITS, "tasks": LIMITS}

    def __init__(self, location: Location, environment: Environment) -> None:
        self._connection = Connection(location, environment)
        self._clock = environment.clock
        self._redis = self._connection.redis
        scripts = [SEND, TAKE, COMPLETE, ABANDON, RENEW, PUT_ASIDE, REDRIVE]
        self._send, self._take, self._complete, self._abandon, self._renew, self._put_aside, self._redrive = (
            self._redis.register_script(SHARED + script) for script in scripts
        )

    async def open(self) -> None:
        await self._connection.open()

    async def aclose(self) -> None:
        await self._connection.aclose()

    def _names(self, queue: QueueName) -> list[str]:
        return [self._connection.name(kind, queue) for kind in KINDS]

    async def _run(self, script: Any, calls: Iterable[tuple[QueueName, list[Any]]]) -> list[Any]:
        """Run one script once per call, all of them in one transaction; give the answers in order."""
        async with self._connection.asking(), self._redis.pipeline(transaction=True) as batch:
            for queue, arguments in calls:
                await script(keys=self._names(queue), args=arguments, client=batch)
            answers: list[Any] = await batch.execute()
        return answers

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        calls = [self._call(message) for message in messages]  # All are checked before the first is sent (Q6).
        outcomes: list[SendOutcome] = []
        for begin in range(0, len(messages), LIMITS.send_batch_max):
            end = begin + LIMITS.send_batch_max
            error = await self._try_to_send(calls[begin:end])
            outcomes += [SendOutcome(message_id=message.message_id, error=error) for message in messages[begin:end]]
        return outcomes

    def _call(self, message: Envelope) -> tuple[QueueName, list[Any]]:
        limits = self._limits_of(message.queue)
        size, delay = len(message.body), max(0.0, message.not_before - self._clock.now())
        if size > limits.body_bytes_max:
            raise Misuse(f"{message.message_id!r}: a body has at most {limits.body_bytes_max} bytes, not {size}.")
        if delay > limits.delay_seconds_max:
            raise Misuse(f"{message.message_id!r}: the longest delay is {limits.delay_seconds_max} s, not {delay} s.")
        return message.queue, [msgspec.msgpack.encode(message), _microseconds(delay)]

    async def _try_to_send(self, calls: list[tuple[QueueName, list[Any]]]) -> Unavailable | None:
        try:
            await self._run(self._send, calls)
        except Unavailable as problem:  # Maybe sent all the same: sent again it is a second message, which is allowed.
            return problem
        return None

    def _limits_of(self, queue: QueueName) -> QueueCapabilities:
        limits = self.capabilities.get(queue_class(queue))
        if limits is None:
            raise Misuse(f"{queue!r} is of no class of queues; begin its name with {' or '.join(self.capabilities)}.")
        return limits

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        del worker
        limits = self._limits_of(queue)
        if limit < 1:
            raise Misuse(f"Receive at least 1 message from {queue!r}, not {limit}.")
        self._check_lease(lease_seconds, queue)
        most = [min(limit, limits.receive_batch_max), _microseconds(lease_seconds), limits.deliveries_max]
        until = self._clock.monotonic() + wait_seconds
        while True:
            begun = self._clock.monotonic()
            ((taken, last, next_due),) = await self._run(self._take, [(queue, most)])
            patience = until - self._clock.monotonic()
            if taken or patience <= 0:
                return [_delivery(number, count, envelope, begun + lease_seconds) for number, count, envelope in taken]
            wait = patience if next_due < 0 else min(patience, next_due / 1e6)
            # What was sent since the look is above `last`: then this does not wait.
            await self._connection.wait_for_entry(self._names(queue)[4], last.decode(), wait)

    def _check_lease(self, lease_seconds: float, queue: QueueName) -> None:
        most = self._limits_of(queue).lease_seconds_max
        if not 0 < lease_seconds <= most:
            raise Misuse(f"A lease is above 0 and at most lease_seconds_max={most} seconds, not {lease_seconds}.")

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return await self._settle(self._complete, deliveries)

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        for delivery in deliveries:
            most = self._limits_of(delivery.envelope.queue).delay_seconds_max
            if not 0 <= delay_seconds <= most:
                raise Misuse(f"A delay is 0 to delay_seconds_max={most} seconds, not {delay_seconds}.")
        await self._settle(self._abandon, deliveries, _microseconds(delay_seconds))

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        for delivery in deliveries:
            self._check_lease(lease_seconds, delivery.envelope.queue)
        return await self._settle(self._renew, deliveries, _microseconds(lease_seconds))

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        await self._settle(self._put_aside, deliveries, reason)

    async def _settle(self, script: Any, deliveries: Sequence[Delivery], *arguments: Any) -> list[bool]:
        calls = [(one.envelope.queue, [*one.receipt.split("/"), *arguments]) for one in deliveries]
        return [bool(answer) for answer in await self._run(script, calls)]

    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        async with self._connection.asking():
            entries = await self._redis.xrange(self._names(queue)[5], count=limit)
        return [_letter(receipt, fields) for receipt, fields in entries]

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        answers = await self._run(self._redrive, [(letter.envelope.queue, [letter.receipt]) for letter in letters])
        return [bool(answer) for answer in answers]

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        answers: list[bool] = []
        async with self._connection.asking():
            for letter in letters:
                dead = self._names(letter.envelope.queue)[5]
                answers.append(bool(await self._redis.xdel(dead, letter.receipt)))
        return answers


def _microseconds(seconds: float) -> int:
    return int(seconds * 1e6)


def _delivery(number: bytes, count: int, envelope: bytes, lease_until: float) -> Delivery:
    found = msgspec.msgpack.decode(envelope, type=Envelope)
    return Delivery(found, f"{number.decode()}/{count}", count, lease_until)


def _letter(receipt: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    envelope = msgspec.msgpack.decode(fields[b"envelope"], type=Envelope)
    return DeadLetter(envelope, fields[b"reason"].decode(), int(fields[b"count"]), receipt.decode())
