"""Services on this machine that stand in for a cloud, started by the tests that need them.

    with ministack(tmp_path / "ministack") as url:
        ...

Each listens on the loopback interface only, at a port that was free, keeps what it writes in a folder of its own, and
ends with the process that started it, even if that is killed. Others are added beside these: `ServerProcess` does what
is the same for all of them.
"""

from perdure_conformance.emulators._aws import AWS_TEST_ENVIRONMENT, ministack
from perdure_conformance.emulators._localstack import localstack, localstack_python
from perdure_conformance.emulators._server import ServerDidNotStart, ServerProcess, answers_http

__all__ = [
    "AWS_TEST_ENVIRONMENT",
    "ServerDidNotStart",
    "ServerProcess",
    "answers_http",
    "localstack",
    "localstack_python",
    "ministack",
]
