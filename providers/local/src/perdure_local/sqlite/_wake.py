"""Waking those who wait in other processes, without polling: a datagram socket each, in the folder `wake`.

A poke has no content: "look again". So a full buffer loses nothing, the poke before it is still to be read. A poke that
is lost otherwise costs a second: whoever waits looks again by itself (`FALLBACK_SECONDS`).

A socket is there as long as its process waits for anything; its name is the name of the opened database. Those of dead
processes refuse what is sent to them and are removed by whoever notices.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FALLBACK_SECONDS", "Pokes"]

FALLBACK_SECONDS = 1.0
_CLOCK_TICK_SECONDS = 0.05
"""Longer than the times of change of a file system are exact."""

_ADDRESS_BYTES_MAX = 100
"""An address has room for 108 bytes on Linux and for 104 elsewhere."""


_log = logging.getLogger(__name__)


class Pokes:
    """This process's socket, and the list of the others'."""

    def __init__(self, folder: Path, name: int, on_poke: Callable[[], None]) -> None:
        """Get ready; others see this process only after `listen`.

        Args:
            folder: Where the sockets are.
            name: This process's, unlike all others.
            on_poke: Called when another process changed something.
        """
        self._folder = folder
        self._name = f"{name:x}"
        self._on_poke = on_poke
        self._folder_file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._receiver: socket.socket | None = None
        self._touching: asyncio.TimerHandle | None = None
        self._others: tuple[str, ...] = ()
        self._listed_at = -1

    def listen(self) -> None:
        """Be woken from now on; more than once does nothing more."""
        if self._receiver is not None or not self._address(self._name):
            return
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            receiver.bind(self._address(self._name))
            (self._folder / self._name).chmod(0o600)
        except OSError:
            receiver.close()  # On a full disk, for example: the next call tries again.
            raise
        self._receiver = receiver
        loop = asyncio.get_running_loop()
        loop.add_reader(self._receiver.fileno(), self._read)
        self._touching = loop.call_later(_CLOCK_TICK_SECONDS, self._touch)

    def others(self) -> tuple[int, ...]:
        """Tell the names of the other processes that wait for something."""
        self._list()
        return tuple(int(name, 16) for name in self._others)

    def poke_others(self) -> None:
        """Wake everybody who waits in another process."""
        self._list()
        for name in self._others:
            try:
                self._sender.sendto(b"", self._address(name))
            except BlockingIOError:
                pass  # It has one to read already.
            except ConnectionRefusedError:
                # Its process died. The name is of no use to anybody else: names are random.
                self._listed_at = -1
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                self._listed_at = -1
                _log.debug("%s was not woken, it will look by itself: %s", name, error)

    def close(self) -> None:
        """Be woken no more."""
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver.fileno())
            self._receiver.close()
            (self._folder / self._name).unlink(missing_ok=True)
        if self._touching is not None:
            self._touching.cancel()
        self._sender.close()
        os.close(self._folder_file)

    def _list(self) -> None:
        """List the folder again if something came or went, by its time of change."""
        changed_at = os.fstat(self._folder_file).st_mtime_ns
        if changed_at != self._listed_at:
            self._listed_at = changed_at
            with suppress(FileNotFoundError):  # Somebody deletes the hub: there is nobody to wake.
                self._others = tuple(file.name for file in self._folder.iterdir() if file.name != self._name)

    def _touch(self) -> None:
        """Have the folder listed again: others may have listed it within the tick of the clock in which we came."""
        with suppress(FileNotFoundError):
            os.utime(self._folder)

    def _address(self, name: str) -> str:
        path = str(self._folder / name)
        if len(os.fsencode(path)) <= _ADDRESS_BYTES_MAX:
            return path
        # Elsewhere than on Linux nobody is woken in a folder with such a long name: they look every second.
        return f"/proc/self/fd/{self._folder_file}/{name}" if sys.platform.startswith("linux") else ""

    def _read(self) -> None:
        assert self._receiver is not None
        with suppress(BlockingIOError):
            while True:
                self._receiver.recv(1)
        self._on_poke()
