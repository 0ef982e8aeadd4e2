"""A server that speaks SQS's protocol and answers as the test says: for answers that no emulator gives."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from perdure.spi import Envelope, Key, QueueName
from perdure_aws.sqs._messages import write_message
from perdure_aws.sqs._queues import attributes_of_main

__all__ = ["TASKS", "Refusal", "SpeakingServer", "Vanish"]

TASKS = QueueName("tasks:mail")
_DEAD_ARN = "arn:aws:sqs:eu-central-1:000000000000:dead"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error, as SQS answers it."""

    code: str
    status: int = 400
    message: str = "because"
    query_code: str = ""


@dataclass(frozen=True, slots=True)
class Vanish:
    """The request was read, and the connection ends without an answer."""


@dataclass
class SpeakingServer:
    """Answers every request with success unless `answers` says otherwise; a context manager.

    Attributes:
        answers: By operation, such as `SendMessageBatch`: what to answer from now on.
        once: The same, for the next request only.
        asked: How often each operation was asked for.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget(self) -> None:
        """Answer as in the beginning."""
        self.answers.clear()
        self.once.clear()
        self.asked.clear()

    def answer(self, operation: str, asked: dict[str, Any]) -> Any:
        self.asked[operation] += 1
        if operation in self.once:
            return self.once.pop(operation)
        return self.answers.get(operation) or self._success(operation, asked)

    def _success(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "GetQueueUrl" | "CreateQueue":
                return {"QueueUrl": f"{self.url}/000000000000/{asked['QueueName']}"}
            case "GetQueueAttributes":
                return {"Attributes": {"QueueArn": _DEAD_ARN, **attributes_of_main(_DEAD_ARN)}}
            case "ReceiveMessage":
                body = write_message(Envelope(TASKS, "m-1", Key("order"), b"wake"))
                attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"}
                message = {"MessageId": "id", "ReceiptHandle": "receipt", "Body": body, "Attributes": attributes}
                return {"Messages": [message]}
            case _:
                return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}


def _handler(server: SpeakingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = server.answer(self.headers["X-Amz-Target"].removeprefix("AmazonSQS."), asked)
            if isinstance(answer, Vanish):
                self.close_connection = True
                return
            status, body = 200, answer
            if isinstance(answer, Refusal):
                status = answer.status
                body = {"__type": f"com.amazonaws.sqs#{answer.code}", "message": answer.message}
            data = json.dumps(body).encode()
            self.send_response(status)
            if isinstance(answer, Refusal) and answer.query_code:
                self.send_header("x-amzn-query-error", f"{answer.query_code};Sender")
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler
