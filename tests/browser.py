"""Headless Chromium for tests, over its debugging pipe: opens a page, runs scripts in it, keeps what the console and the network said."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--remote-debugging-pipe",
         "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage")  # fmt: skip


class Browser:
    """One tab. Use as a context."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="browser-")
        to_child, self._to = os.pipe()
        self._from, from_child = os.pipe()
        os.set_inheritable(to_child, True)
        os.set_inheritable(from_child, True)

        def pipes() -> None:
            os.dup2(to_child, 13)  # out of the way of 3 and 4
            os.dup2(from_child, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self._number, self._waiting = 0, b""
        self.said: list[str] = []
        self.requested: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False, media: str = "", script: bool = True) -> None:
        """Load a page; `said` and `requested` begin anew."""
        self.said.clear()
        self.requested.clear()
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'" if script else "true")

    def run(self, script: str) -> Any:
        """The value of an expression, promises waited for. AssertionError where it throws."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 30) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"not within {seconds} s: {condition}; the console says {self.said}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """A key, as a person without a mouse presses it."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Enter": 13, "Tab": 9, " ": 32}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **({"text": text} if text else {}))

    def screenshot(self, file: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        file.write_bytes(base64.b64decode(found["data"]))

    def print(self, file: Path) -> None:
        """A PDF of the page."""
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the DevTools protocol to the tab."""
        return self._ask(method, session=self._session, **parameters)

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}

    def _ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._number:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])
            self._note(found)

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        kinds: dict[str, Callable[[], str]] = {
            "Runtime.consoleAPICalled": lambda: f"{given['type']}: {[each.get('value') for each in given['args']]}",
            "Runtime.exceptionThrown": lambda: str(given["exceptionDetails"]),
            "Log.entryAdded": lambda: f"{given['entry']['level']}: {given['entry']['text']} {given['entry'].get('url', '')}",
        }
        if event.get("method") in kinds:
            self.said.append(kinds[event["method"]]())
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(given["request"]["url"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._from], [], [], 60)
            assert ready, "the browser does not answer"
            self._waiting += os.read(self._from, 1 << 20)
        line, _, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(line))
