"""Every row of the table of errors: what S3 says, through the real SDK, and what a caller is told to do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from _aws_harnesses import location_of
from _s3_stand_in import Answer, StandIn, error
from botocore.exceptions import ClientError

from perdure.spi import (
    Absent,
    Environment,
    Etag,
    Found,
    Misuse,
    PreconditionFailed,
    SystemClock,
    SystemEntropy,
    Unavailable,
    Unchanged,
    Unknown,
)
from perdure_aws import S3Objects
from perdure_aws._settings import read_place, read_settings
from perdure_aws.s3 import _errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LISTED = Answer(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
WRITTEN = Answer(headers={"ETag": '"e1"'})
NAMES = [f"n/{number:04}" for number in range(1001)]


class HurriedClock(SystemClock):
    """Notes pauses instead of making them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@asynccontextmanager
async def opened(server: StandIn, **options: str) -> AsyncIterator[tuple[S3Objects, HurriedClock]]:
    clock = HurriedClock()
    location = location_of(server.url, "hub", **options)
    objects = S3Objects(read_place(location), read_settings(location), Environment(clock, SystemEntropy()))
    await objects.open()
    try:
        yield objects, clock
    finally:
        await objects.aclose()


async def ask(objects: S3Objects, operation: str) -> object:
    if operation == "get":
        return await objects.get("n/a")
    if operation == "put":
        return await objects.put("n/a", b"data", if_match=Etag('"e0"'))
    if operation == "delete":
        return await objects.delete(["n/a"])
    return [name async for name in objects.list("n/")]


STATUS_OF = {
    _errors.Meaning.SETTING: 403,
    _errors.Meaning.BUSY: 503,
    _errors.Meaning.LOST: 500,
    _errors.Meaning.WRONG: 400,
}
REACTIONS = {
    _errors.Meaning.SETTING: (Unavailable, Unavailable, Misuse),
    _errors.Meaning.BUSY: (Unavailable, Unavailable, Unavailable),
    _errors.Meaning.LOST: (Unavailable, Unknown, Unavailable),
    _errors.Meaning.WRONG: (Misuse, Misuse, Misuse),
}


@pytest.mark.parametrize("code", _errors._CODES)
async def test_each_code_asks_readers_writers_and_openers_for_one_reaction(code: str) -> None:
    meaning, mend = _errors._CODES[code]
    reading, writing, opening = REACTIONS[meaning]
    with StandIn(LISTED, error(STATUS_OF[meaning], code)) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(reading, match=r"s3://perdure-tests/hub/n/a.*It says so\. ") as read:
                await ask(objects, "get")
            with pytest.raises(writing):
                await ask(objects, "put")
        with pytest.raises(opening):
            async with opened(server):
                pass
    assert mend.split("{")[0] in str(read.value)


@pytest.mark.parametrize("status", _errors._STATUSES)
async def test_an_error_without_a_code_is_told_by_its_status(status: int) -> None:
    reading, writing, opening = REACTIONS[_errors._STATUSES[status][0]]
    with StandIn(LISTED, Answer(status)) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(reading):
                await ask(objects, "get")
            with pytest.raises(writing):
                await ask(objects, "put")
        with pytest.raises(opening):
            async with opened(server):
                pass


async def test_a_bucket_that_moved_is_in_the_region_that_the_answer_names() -> None:
    moved = Answer(301, headers={"x-amz-bucket-region": "us-west-2"})
    with StandIn(moved) as server, pytest.raises(Misuse, match=r"region=us-west-2"):
        async with opened(server):
            pass


async def test_what_the_table_lacks_is_left_alone() -> None:
    with StandIn(LISTED, error(400, "NeverHeardOf")) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(ClientError, match="NeverHeardOf"):
                await ask(objects, "put")


@pytest.mark.parametrize(
    ("operation", "action"),
    [("get", "s3:GetObject"), ("put", "s3:PutObject"), ("delete", "s3:DeleteObject"), ("list", "s3:ListBucket")],
)
async def test_a_missing_right_is_named_and_waited_for(operation: str, action: str) -> None:
    """No instance is to blame for it: `Misuse` would fail turns and put messages aside."""
    with StandIn(LISTED, error(403, "AccessDenied")) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(Unavailable, match=f"Allow {action}.* on arn:aws:s3:::perdure-tests"):
                await ask(objects, operation)


async def test_another_region_is_named() -> None:
    with (
        StandIn(error(400, "AuthorizationHeaderMalformed", "<Region>us-west-2</Region>")) as server,
        pytest.raises(Misuse, match=r"region=us-west-2.*write that into the URL"),
    ):
        async with opened(server):
            pass


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (404, "NoSuchKey")])
async def test_a_refused_condition_is_an_answer(status: int, code: str) -> None:
    with StandIn(LISTED, error(status, code)) as server:
        async with opened(server) as (objects, _):
            assert await ask(objects, "put") == PreconditionFailed()
    assert len(server.requests) == 2


async def test_a_conflict_is_no_verdict_the_same_bytes_go_again() -> None:
    conflict = error(409, "ConditionalRequestConflict")
    with StandIn(LISTED, conflict, conflict, WRITTEN) as server:
        async with opened(server) as (objects, clock):
            assert await ask(objects, "put") == Etag('"e1"')
    _, *puts = server.requests
    assert [(put.body, put.headers["If-Match"]) for put in puts] == [(b"data", '"e0"')] * 3
    assert len(clock.pauses) == 2


@pytest.mark.parametrize(("status", "code"), [(409, "ConditionalRequestConflict"), (503, "SlowDown")])
async def test_what_is_refused_each_time_is_unavailable_after_growing_pauses(status: int, code: str) -> None:
    with StandIn(LISTED, error(status, code)) as server:
        async with opened(server) as (objects, clock):
            with pytest.raises(Unavailable):
                await ask(objects, "put")
    assert len(server.requests) == 7
    assert clock.pauses == sorted(clock.pauses)
    assert sum(clock.pauses) < 2


async def test_a_lost_answer_is_never_asked_for_again() -> None:
    """The second request would be refused by the effect of the first (R4)."""
    with StandIn(LISTED, error(500, "InternalError"), WRITTEN) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(Unknown, match="may have happened"):
                await ask(objects, "put")
    assert len(server.requests) == 2


@pytest.mark.parametrize("etag", ["*", '"a","b"', "a\nX-Y: z", ""])
async def test_no_text_that_nobody_was_given_matches(etag: str) -> None:
    with StandIn(LISTED, Answer(body=b"data", headers={"ETag": '"e1"'})) as server:
        async with opened(server) as (objects, _):
            assert await objects.put("n/a", b"", if_match=Etag(etag)) == PreconditionFailed()
            assert isinstance(await objects.get("n/a", Etag(etag)), Found)
    assert "If-None-Match" not in server.requests[-1].headers


async def test_what_is_read_tells_the_servers_clock_to_a_half_second() -> None:
    dated = Answer(body=b"data", headers={"ETag": '"e1"', "Date": "Sun, 09 Sep 2001 01:46:40 GMT"})
    with StandIn(LISTED, dated) as server:
        async with opened(server) as (objects, _):
            found = await objects.get("n/a")
    assert found == Found(b"data", Etag('"e1"'), 1_000_000_000.5)


async def test_an_unchanged_and_an_absent_object_are_answers() -> None:
    dated = Answer(304, headers={"Date": "Sun, 09 Sep 2001 01:46:40 GMT"})
    with StandIn(LISTED, dated, error(404, "NoSuchKey")) as server:
        async with opened(server) as (objects, _):
            assert await objects.get("n/a", Etag('"e1"')) == Unchanged(1_000_000_000.5)
            assert await objects.get("n/a") == Absent()


async def test_deletes_go_by_the_thousand_and_report_what_failed() -> None:
    refused = b"<Error><Key>hub/n/7</Key><Code>AccessDenied</Code><Message>No.</Message></Error>"
    failed = Answer(body=b"<DeleteResult>" + refused + b"</DeleteResult>")
    with StandIn(LISTED, Answer(body=b"<DeleteResult/>"), failed) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(Unavailable, match=r"hub/n/7.*No\. \(1 of 1 objects.*Allow s3:DeleteObject"):
                await objects.delete(NAMES)
    assert [request.body.count(b"<Key>") for request in server.requests[1:]] == [1000, 1]


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "broken",
    [Answer(hangs=True), Answer(bytes_kept=-1), Answer(500, b"<Error><Code>Inter", bytes_kept=18)],
    ids=["silence", "hanging-up", "half-an-answer"],
)
async def test_a_write_without_an_answer_may_have_happened_and_a_read_is_worth_another(broken: Answer) -> None:
    with StandIn(LISTED, broken) as server:
        async with opened(server, read_timeout_seconds="0.5") as (objects, _):
            with pytest.raises(Unknown):
                await ask(objects, "put")
            with pytest.raises(Unavailable):
                await ask(objects, "get")


async def test_half_of_an_object_is_never_given() -> None:
    with StandIn(LISTED, Answer(body=b"whole", headers={"ETag": '"e1"'}, bytes_kept=2)) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(Unavailable):
                await objects.get("n/a")


async def test_an_endpoint_that_hangs_at_the_opening_is_unavailable() -> None:
    with StandIn(Answer(hangs=True)) as server, pytest.raises(Unavailable):
        async with opened(server, read_timeout_seconds="0.3"):
            pass


async def test_nobody_listening_means_that_nothing_happened() -> None:
    server = StandIn(LISTED)
    async with _open_then_leave(server) as objects:
        with pytest.raises(Unavailable, match="Check the endpoint"):
            await ask(objects, "put")


@asynccontextmanager
async def _open_then_leave(server: StandIn) -> AsyncIterator[S3Objects]:
    with server:
        context = opened(server)
        objects, _ = await context.__aenter__()
    yield objects
    await context.__aexit__(None, None, None)


async def test_requests_that_nobody_waits_for_any_more_are_bounded() -> None:
    """Callers may give up again and again on an endpoint that hangs: no more than `threads` requests are under way."""
    with StandIn(LISTED, Answer(hangs=True)) as server:
        async with opened(server, threads="2", read_timeout_seconds="30") as (objects, _):
            calls = [asyncio.create_task(ask(objects, "get")) for _ in range(20)]
            while len(server.requests) < 3:  # the one of the opening, and two that hang
                await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            late = asyncio.create_task(ask(objects, "get"))
            await asyncio.sleep(0)
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
            assert objects.client.requests == {"list_objects_v2": 1, "get_object": 2}
    assert len(server.requests) == 3


async def test_credentials_that_are_not_there_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with StandIn(LISTED) as server, pytest.raises(Misuse, match="Check the credentials"):
        async with opened(server):
            pass
    assert not server.requests


async def test_a_profile_that_is_not_there_is_named() -> None:
    with StandIn(LISTED) as server, pytest.raises(Misuse, match=r"\(nobody\).*AWS_PROFILE"):
        async with opened(server, profile="nobody"):
            pass


async def test_credentials_that_end_in_the_middle_are_waited_for() -> None:
    with StandIn(LISTED, error(400, "ExpiredToken"), WRITTEN) as server:
        async with opened(server) as (objects, _):
            with pytest.raises(Unavailable, match="renew them"):
                await ask(objects, "put")
            assert await ask(objects, "put") == Etag('"e1"')
