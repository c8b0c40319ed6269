"""A server as a process of ours: started, waited for until it answers, and gone with everything that it started."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import psutil

from benchmark.errors import UserError
from trackers import guard
from trackers.location import TrackerError, redact, remedy, without_login

START_SECONDS = 240.0
"""MLflow takes 10 s to start, on a busy machine two minutes; one that fails is noticed at once."""
GRACE_SECONDS = 2
"""What MLflow's server gives requests at work to end, once it was asked to stop."""
_ASK_SECONDS = 10.0
_MOST_BYTES = 1_000_000
_TAIL = 1500


@dataclass(frozen=True)
class Service:
    """A server to be started. Nothing secret may stand in `command`: every user of a machine can read that."""

    command: Sequence[str]
    environment: Mapping[str, str]
    host: str
    port: int
    log: Path
    """Where it writes what it says; added to."""

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        return f"http://{_reachable(self.host)}:{self.port}"


def serve(service: Service, *, ready: Callable[[str], None], beside: Sequence[AbstractContextManager[object]] = ()) -> int:
    """Serve until interrupted; the server's exit code, 0 if interrupted.

    `beside`: what runs as long as the server does: entered in order once it answers, left before it is stopped. `ready` is then told
    the URL. Raises TrackerError if the server does not start, UserError if nothing can listen at its address.
    """
    with serving(service) as process, ExitStack() as running:
        for task in beside:
            running.enter_context(task)
        ready(service.url)
        try:
            return process.wait()
        except KeyboardInterrupt:
            return 0


@contextmanager
def serving(service: Service, *, seconds: float = START_SECONDS) -> Iterator[subprocess.Popen[bytes]]:
    """The server's process, healthy; when the block is left, it and all it started have ended."""
    require_free(service.host, service.port)
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("ab") as log:
        begin = log.tell()
        # a session of its own: a terminal's Ctrl-C reaches this process only, which then stops the server in good order
        process = subprocess.Popen(
            service.command, env=dict(service.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    with _guarded(process):
        try:
            _wait_until_healthy(service, process, begin, seconds)
            yield process
        finally:
            _stop(process)


def _wait_until_healthy(service: Service, process: subprocess.Popen[bytes], begin: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_healthy(service.url, direct=True):
        if process.poll() is not None or time.monotonic() > until:
            how = (
                f"ended at once (exit code {process.returncode})" if process.returncode is not None else f"gave no answer in {seconds:g} s"
            )
            told = service.log.read_bytes()[begin:].decode("utf-8", "replace").strip()[-_TAIL:]
            raise TrackerError(f"The MLflow server {how}. It said last:\n{redact(told)}\nAll it said is in {service.log}.")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, and wait for it."""
    try:
        if process.poll() is None:
            guard.end(psutil.Process(process.pid))
        else:
            with contextlib.suppress(ProcessLookupError):  # workers that it may have left
                os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.wait()


@contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """While the block lasts a process beside this one ends the server should this one be killed."""
    command = [sys.executable, "-P", guard.__file__, str(process.pid)]  # its folder holds modules that are not to be found by their names
    # a session of its own, as the server has: a terminal's Ctrl-C is not for it
    nowhere = subprocess.DEVNULL
    try:
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)
    except BaseException:
        _stop(process)
        raise
    try:
        yield
    finally:
        watcher.communicate()


def require_free(host: str, port: int) -> None:
    """Raises UserError if nothing can listen there, naming the reason."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"The MLflow page cannot be served at {host}:{port}: {why}. Name another with `--port`.") from error


def _reachable(host: str) -> str:
    """The name under which this machine reaches a server that listens at `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)


def is_healthy(url: str, *, direct: bool = False) -> bool:
    """Whether an MLflow server says there that it is well. `direct`: of this machine, past any proxy of the environment."""
    try:
        return _asked(f"{url}/health", direct=direct)[:2] == b"OK"
    except (OSError, ValueError, HTTPException):  # urllib's errors are OSErrors; the others: what answers speaks no HTTP
        return False


@dataclass(frozen=True)
class Health:
    """What a server answered. `url` without a login; seconds: to list one experiment, which needs its database."""

    url: str
    version: str
    seconds: float


def check(uri: str) -> Health:
    """Ask a server whether it is well, lets this user in and reaches its database. TrackerError with what is wrong otherwise."""
    url, login = without_login(uri.rstrip("/"))
    try:
        if not is_healthy(url):
            raise TrackerError(f"No MLflow server answers at {redact(uri)}. {remedy('Connection refused')}")
        begun = time.monotonic()
        json.loads(_asked(f"{url}/api/2.0/mlflow/experiments/search", json.dumps({"max_results": 1}).encode(), login=login))
        seconds = time.monotonic() - begun
        return Health(url, _asked(f"{url}/version", login=login).decode("utf-8", "replace").strip(), seconds)
    except urllib.error.HTTPError as error:
        with error:
            told = f"{error.code} {error.read(300).decode('utf-8', 'replace')}"
        raise TrackerError(f"The MLflow server {redact(uri)} answers, but refuses: {redact(told)} {remedy(told)}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise TrackerError(f"The MLflow server {redact(uri)} does not answer as one should: {error}. {remedy(str(error))}") from error


def _asked(url: str, data: bytes | None = None, *, login: tuple[str, str] = ("", ""), direct: bool = False) -> bytes:
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"} if data else {})
    if all(login):
        request.add_header("Authorization", f"Basic {base64.b64encode(':'.join(login).encode()).decode()}")
    opener = urllib.request.build_opener(*[urllib.request.ProxyHandler({})] * direct)
    with opener.open(request, timeout=_ASK_SECONDS) as answer:
        found: bytes = answer.read(_MOST_BYTES)
    return found
