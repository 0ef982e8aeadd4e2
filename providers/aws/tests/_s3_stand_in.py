"""A server that gives the answers it was told to give: what no emulator says can be said, to the real SDK."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["Answer", "StandIn", "error"]


@dataclass
class Answer:
    """One answer; `bytes_kept` cuts it off, `hangs` never gives it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    bytes_kept: int | None = None
    hangs: bool = False


def error(status: int, code: str, more: str = "") -> Answer:
    """An error as S3 words it."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>It says so.</Message>{more}</Error>'.encode()
    return Answer(status, body, {"Content-Type": "application/xml"})


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """A server on this machine; a context manager. The last answer is given again and again.

    Attributes:
        answers: What it says, in turn.
        requests: What it was asked.
    """

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.requests: list[Request] = []
        self.is_over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_answer(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(server: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.requests.append(Request(self.command, self.path, dict(self.headers), body))
            answer = server.next_answer()
            self.close_connection = True
            if answer.hangs:
                server.is_over.wait()
                return
            if answer.bytes_kept == -1:
                return  # not even a status
            self.send_response_only(answer.status)
            for name, value in {
                "Content-Length": str(len(answer.body)),
                "Date": self.date_time_string(),
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.bytes_kept])

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - as http.server asks

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
