"""A TCP proxy in front of a real server that misbehaves on demand: what a tracker on a network can do to us, without restarting one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Mode = Literal["pass", "away", "stalls", "slow", "cuts", "nonsense"]
SLOW_SECONDS = 0.1


class Proxy:
    """`mode` may change at any time; connections that are open then are closed, as a restart does.

    `pass`: as if it were not there. `away`: closes at once. `stalls`: takes the request and never answers. `slow`: answers late.
    `cuts`: closes in the middle of the answer. `nonsense`: answers with something that is no MLflow.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._mode: Mode = "pass"
        self._open: set[socket.socket] = set()
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self.hang_up()

    def hang_up(self) -> None:
        """Close what is open."""
        for connection in list(self._open):
            _close(connection)

    def close(self) -> None:
        _close(self._listener)
        self.hang_up()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        self._open.add(client)
        with contextlib.suppress(OSError), client:
            if self.mode == "away":
                return
            if self.mode == "stalls":
                while client.recv(65536):
                    pass
                return
            if self.mode == "nonsense":
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n<html>hi</html")
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open.add(server)
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                self._pump(server, client, is_answer=True)
        self._open.discard(client)

    def _pump(self, source: socket.socket, target: socket.socket, *, is_answer: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.requests += not is_answer
                if is_answer and self.mode == "slow":
                    time.sleep(SLOW_SECONDS)
                if is_answer and self.mode == "cuts":
                    target.sendall(data[: len(data) // 2])
                    break
                target.sendall(data)
        _close(target)
        _close(source)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in recv; close alone does not
    connection.close()


@contextmanager
def before(port: int) -> Iterator[Proxy]:
    """A proxy before the server at a port of this machine."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


def free_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
