"""What an event loop can do and a replay loop cannot, and what to use instead.

Each of these would touch the world, unrecorded. The loop's methods of these names raise `NotDeterministic` with the
code line, and doom the turn, so that code which swallows the error cannot hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from perdure.replay._tasks import AbstractEventLoop

if TYPE_CHECKING:
    from perdure.replay._loop import ReplayLoop

__all__ = ["RefusingLoop"]

_THREAD = "put it into an activity; a plain `def` activity runs in a thread"
_NETWORK = "talk to the network in an activity"
_PROCESS = "start processes in an activity"
_SIGNAL = "handle signals in the process that runs the worker"
_FILES = "watch files and sockets in an activity"
_DRIVEN = "the worker steps this loop; just `await`"
_ERRORS = "catch errors where they are raised; the worker reports those that nobody catches"


class _Refused:
    """A method that refuses. Typed as anything, so that each row stands for the method it replaces."""

    __slots__ = ("_instead", "_name")

    def __init__(self, instead: str) -> None:
        self._instead = instead
        self._name = ""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loop: ReplayLoop | None, _owner: type) -> Any:
        if loop is None:
            return self

        def refuse(*_args: Any, **_options: Any) -> Never:
            raise loop.doom_not_deterministic(
                f"loop.{self._name}() was called inside an orchestration, at {loop.asking_line()}. It is not recorded "
                f"and would happen again on every replay. Instead: {self._instead}."
            )

        return refuse


def _refused(instead: str) -> Any:
    return _Refused(instead)


class RefusingLoop(AbstractEventLoop):
    """An event loop without the world."""

    run_in_executor = _refused(_THREAD)
    set_default_executor = _refused(_THREAD)
    shutdown_default_executor = _refused(_THREAD)
    getaddrinfo = _refused(_NETWORK)
    getnameinfo = _refused(_NETWORK)
    create_connection = _refused(_NETWORK)
    create_server = _refused(_NETWORK)
    create_unix_connection = _refused(_NETWORK)
    create_unix_server = _refused(_NETWORK)
    create_datagram_endpoint = _refused(_NETWORK)
    connect_accepted_socket = _refused(_NETWORK)
    start_tls = _refused(_NETWORK)
    sendfile = _refused(_NETWORK)
    sock_accept = _refused(_NETWORK)
    sock_connect = _refused(_NETWORK)
    sock_recv = _refused(_NETWORK)
    sock_recv_into = _refused(_NETWORK)
    sock_recvfrom = _refused(_NETWORK)
    sock_recvfrom_into = _refused(_NETWORK)
    sock_sendall = _refused(_NETWORK)
    sock_sendfile = _refused(_NETWORK)
    sock_sendto = _refused(_NETWORK)
    subprocess_exec = _refused(_PROCESS)
    subprocess_shell = _refused(_PROCESS)
    connect_read_pipe = _refused(_PROCESS)
    connect_write_pipe = _refused(_PROCESS)
    add_signal_handler = _refused(_SIGNAL)
    remove_signal_handler = _refused(_SIGNAL)
    add_reader = _refused(_FILES)
    remove_reader = _refused(_FILES)
    add_writer = _refused(_FILES)
    remove_writer = _refused(_FILES)
    run_forever = _refused(_DRIVEN)
    run_until_complete = _refused(_DRIVEN)
    stop = _refused(_DRIVEN)
    close = _refused("the worker owns this loop; return from the orchestration to end it")
    shutdown_asyncgens = _refused("use contextlib.aclosing() around async generators that may be left early")
    set_task_factory = _refused("tasks must be numbered by this loop; use asyncio.create_task()")
    set_debug = _refused("debug mode reads the clock; test the orchestration outside of the worker")
    set_exception_handler = _refused(_ERRORS)
    default_exception_handler = _refused(_ERRORS)
