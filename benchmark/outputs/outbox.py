"""Messages to a webhook, kept in the store until they have been taken: a hook that is dead loses nothing.

A message is on disk before it is sent and is deleted when the other side has answered with 2xx, so it may arrive twice after a kill, never
not at all; its `id` tells. The address of a hook is a secret: files are their owner's alone, and no text that leaves here holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmark.arrays import write_bytes
from benchmark.errors import UserError

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Delivery:
    """What became of the messages that were waiting."""

    sent: int
    waiting: int
    problem: str = ""
    """Why the first one that is left could not be sent; fit to be shown."""


@dataclass(frozen=True)
class Outbox:
    """The messages of a store that wait for their webhook."""

    store: Path
    timeout: float = TIMEOUT_SECONDS

    @property
    def folder(self) -> Path:
        return self.store / "outbox"

    def put(self, url: str, message: Mapping[str, Any]) -> None:
        """Keep a message for a webhook; UserError if the address cannot be one."""
        checked_hook(url)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            number = max((int(file.name.partition("-")[0]) for file in self._files()), default=0) + 1
            name = uuid.uuid4().hex
            entry = json.dumps({"url": url, "message": {**message, "id": name}}, allow_nan=False)
            write_bytes(self.folder / f"{number:012d}-{name}.json", entry.encode())  # 0600: the address is a secret

    def flush(self) -> Delivery:
        """Send what waits, the oldest first; of each webhook that fails the later messages are left for the next time, too."""
        if not self.folder.is_dir():
            return Delivery(0, 0)
        sent, problems = 0, {}
        with self._locked():
            for file in self._files():
                entry = json.loads(file.read_text())
                if entry["url"] in problems:
                    continue
                problem = self._send(entry["url"], entry["message"])
                if problem:
                    problems[entry["url"]] = problem
                else:
                    file.unlink()
                    sent += 1
            return Delivery(sent, len(self._files()), next(iter(problems.values()), ""))

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _send(self, url: str, message: Mapping[str, Any]) -> str:
        """Empty if it was taken, else why not: in words that do not hold the address."""
        data = json.dumps(message).encode()
        try:
            request = urllib.request.Request(url, data, {"Content-Type": "application/json", "User-Agent": "skewbench"})
            with _OPENER.open(request, timeout=self.timeout) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            with error:
                return f"{hidden(url)} answered {error.code}"
        except urllib.error.URLError as error:
            return f"{hidden(url)} could not be reached ({type(error.reason).__name__})"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{hidden(url)} could not be reached ({type(error).__name__})"
        return ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A message is not carried on to where it was not addressed."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def checked_hook(url: str) -> str:
    """The address of a webhook. UserError, without the address, if it cannot be one."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and all(char.isprintable() and char != " " for char in url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        is_one = False
    if not is_one:
        raise UserError("the webhook's address is none: expected https://host/path (it is not shown here, since it may hold a secret).")
    return url


def hidden(url: str) -> str:
    """The address without its path, user and query, which are what is secret in it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"
