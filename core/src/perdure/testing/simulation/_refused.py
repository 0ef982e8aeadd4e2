"""What an event loop can do and a simulation cannot: it has one thread and no outside world."""

from __future__ import annotations

import asyncio
from typing import Any, Never

from perdure.errors import Misuse

__all__ = ["WorldlessLoop"]


def _refused(name: str) -> Any:
    def refuse(_loop: object, *_args: object, **_options: object) -> Never:
        raise Misuse(
            f"loop.{name}() was called in a simulation, which has one thread and no outside world: have the activity "
            "ask a stand-in there."
        )

    return refuse


class WorldlessLoop(asyncio.AbstractEventLoop):
    """An event loop that refuses everything beyond tasks and timers, and says what to do instead."""

    getaddrinfo = _refused("getaddrinfo")
    getnameinfo = _refused("getnameinfo")
    create_connection = _refused("create_connection")
    create_server = _refused("create_server")
    create_unix_connection = _refused("create_unix_connection")
    create_unix_server = _refused("create_unix_server")
    sendfile = _refused("sendfile")
    start_tls = _refused("start_tls")
    create_datagram_endpoint = _refused("create_datagram_endpoint")
    connect_read_pipe = _refused("connect_read_pipe")
    connect_write_pipe = _refused("connect_write_pipe")
    subprocess_shell = _refused("subprocess_shell")
    subprocess_exec = _refused("subprocess_exec")
    add_reader = _refused("add_reader")
    remove_reader = _refused("remove_reader")
    add_writer = _refused("add_writer")
    remove_writer = _refused("remove_writer")
    sock_recv = _refused("sock_recv")
    sock_recv_into = _refused("sock_recv_into")
    sock_recvfrom = _refused("sock_recvfrom")
    sock_sendall = _refused("sock_sendall")
    sock_connect = _refused("sock_connect")
    sock_accept = _refused("sock_accept")
    sock_sendto = _refused("sock_sendto")
    add_signal_handler = _refused("add_signal_handler")
    remove_signal_handler = _refused("remove_signal_handler")
    set_task_factory = _refused("set_task_factory")
    get_exception_handler = _refused("get_exception_handler")
    run_forever = _refused("run_forever")
    set_debug = _refused("set_debug")
    set_exception_handler = _refused("set_exception_handler")
    shutdown_asyncgens = _refused("shutdown_asyncgens")
    shutdown_default_executor = _refused("shutdown_default_executor")
    stop = _refused("stop")
    set_default_executor = _refused("set_default_executor")
    sock_recvfrom_into = _refused("sock_recvfrom_into")
    sock_sendfile = _refused("sock_sendfile")
    connect_accepted_socket = _refused("connect_accepted_socket")
