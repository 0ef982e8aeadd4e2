"""The proxy of wire faults: what the service sees of each fault, and what the client does."""

from __future__ import annotations

import asyncio
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

pytest.importorskip("h11", reason="the proxy speaks HTTP through h11: perdure-conformance[wire]")

from perdure_conformance.wire import BLOB, S3, SQS, Dialect, HttpFaultProxy, WireFault, WireFaults

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = b"an answer that is long enough to be cut in two" * 100


class Service(BaseHTTPRequestHandler):
    """Notes what it is asked; answers PUT, GET and HEAD."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, bytes]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_GET = do_HEAD = do_PUT  # noqa: N815 - see above

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    Service.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def proxy_for(service: ThreadingHTTPServer, *kinds: WireFault, dialect: Dialect = S3) -> HttpFaultProxy:
    """Give a proxy where each request meets one of these faults; none of them, if none is named."""
    faults = WireFaults(1, rate=float(bool(kinds)), kinds=dict.fromkeys(kinds, 1))
    return HttpFaultProxy("127.0.0.1", service.server_port, faults=faults, dialect=dialect)


async def ask(
    proxy: HttpFaultProxy, method: str = "PUT", body: bytes = b"data", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    def call() -> tuple[int, bytes]:
        address = urlsplit(proxy.endpoint)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.request(method, "/bucket/name?x=1", body if method == "PUT" else None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(call)


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_without_a_fault_request_and_answer_come_through_whole(service: ThreadingHTTPServer, method: str) -> None:
    async with proxy_for(service) as proxy:
        assert await ask(proxy, method) == (200, ANSWER)

    assert Service.seen == [(method, "/bucket/name?x=1", b"data" if method == "PUT" else b"")]


async def test_an_answer_to_head_has_its_length_and_no_body(service: ThreadingHTTPServer) -> None:
    async with proxy_for(service) as proxy:
        assert await ask(proxy, "HEAD") == (200, b"")


async def test_a_client_that_waits_for_a_continue_gets_it(service: ThreadingHTTPServer) -> None:
    """As AWS's SDK does before it sends an object."""
    async with proxy_for(service) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint).port)
        writer.write(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30) == b"HTTP/1.1 100 \r\n\r\n"
        writer.write(b"data")
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 200")
        writer.close()

    assert Service.seen == [("PUT", "/a", b"data")]


@pytest.mark.parametrize(
    ("fault", "times"),
    [(WireFault.DROPPED_BEFORE, 0), (WireFault.DROPPED_AFTER, 1), (WireFault.LATE, 1), (WireFault.CUT, 1)],
)
async def test_a_lost_answer_says_nothing_of_what_was_done(
    service: ThreadingHTTPServer, fault: WireFault, times: int
) -> None:
    async with proxy_for(service, fault) as proxy:
        with pytest.raises((OSError, http.client.HTTPException)):
            await ask(proxy)

    assert len(Service.seen) == times  # leaving the proxy waits for what is late


async def test_a_request_that_is_done_twice_is_answered_once(service: ThreadingHTTPServer) -> None:
    async with proxy_for(service, WireFault.TWICE) as proxy:
        assert await ask(proxy) == (200, ANSWER)

    assert len(Service.seen) == 2


@pytest.mark.parametrize(
    ("dialect", "status", "word"), [(S3, 503, b"SlowDown"), (SQS, 400, b"RequestThrottled"), (BLOB, 503, b"ServerBusy")]
)
async def test_a_busy_service_is_not_asked(
    service: ThreadingHTTPServer, dialect: Dialect, status: int, word: bytes
) -> None:
    async with proxy_for(service, WireFault.BUSY, dialect=dialect) as proxy:
        told, body = await ask(proxy)

    assert (told, word in body, Service.seen) == (status, True, [])


async def test_only_what_is_conditional_meets_a_conflict(service: ThreadingHTTPServer) -> None:
    async with proxy_for(service, WireFault.CONFLICT, WireFault.SLOW) as proxy:
        answers = [await ask(proxy, headers={"If-None-Match": "*"}) for _ in range(12)]
        plain = [await ask(proxy) for _ in range(6)]

    conflicts = [body for status, body in answers if status == 409]
    assert conflicts
    assert all(b"ConditionalRequestConflict" in body for body in conflicts)
    assert {status for status, _ in plain} == {200}


def test_the_same_seed_has_the_same_faults() -> None:
    def schedule(seed: int) -> list[WireFault | None]:
        faults = WireFaults(seed, rate=0.3)
        return [faults.choose(can_conflict=True) for _ in range(200)]

    assert schedule(3) == schedule(3) != schedule(4)
    assert set(schedule(3)) == {None, *WireFault}
