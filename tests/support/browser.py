"""A headless browser, driven through the Chrome DevTools Protocol: opens a page and says what it sees."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import websocket

_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
_SECONDS = 30
"""How long one answer of the browser may take."""


def find_browser() -> str | None:
    """Return the path of a browser that can be driven here; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab of the browser."""

    def __init__(self, connection: websocket.WebSocket) -> None:
        """Open the tab in the browser at the other end of a connection."""
        self._connection = connection
        self._session: str | None = None
        self._last_id = 0
        self._events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the browser's answer to one command of the protocol.

        Raises:
            RuntimeError: the browser refuses the command.
            websocket.WebSocketTimeoutException: it does not answer.
        """
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while (answer := self._receive()).get("id") != self._last_id:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, address: str) -> None:
        """Load a page, with everything that it loads at once."""
        self._events.clear()
        self.call("Page.navigate", url=address)
        while not self._seen("Page.loadEventFired"):
            self._receive()

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window another size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, or of the promise that it is."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def read_tree(self) -> dict[str, Any]:
        """Return the document with what is inside closed shadow roots, which scripts cannot see."""
        tree: dict[str, Any] = self.call("DOM.getDocument", depth=-1, pierce=True)["root"]
        return tree

    def take_picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def list_complaints(self) -> list[str]:
        """Return errors and warnings that the page has caused since it was opened."""
        found = [_describe(event["method"], event["params"]) for event in self._events]
        return [line for line in found if line]

    def list_requests(self) -> list[str]:
        """Return the addresses that the page has asked for since it was opened."""
        return [
            event["params"]["request"]["url"] for event in self._seen("Network.requestWillBeSent")
        ]

    def _seen(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._events if event["method"] == method]

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv())
        if "method" in message:
            self._events.append(message)
        return message


def _describe(method: str, params: dict[str, Any]) -> str | None:
    """Return an event in one line if it tells of an error or a warning."""
    match method:
        case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
            return f"{params['entry']['text']} {params['entry'].get('url', '')}"
        case "Runtime.exceptionThrown":
            return f"exception: {params['exceptionDetails']['text']}"
        case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
            return f"console: {[each.get('value') for each in params['args']]}"
        case _:
            return None


@contextmanager
def start_browser(program: str) -> Iterator[Page]:
    """Start a browser with a profile of its own and yield a tab of it; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = ("--no-sandbox", "--headless", "--remote-debugging-port=0")
        process = subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            connection = websocket.create_connection(
                _read_address(process), timeout=_SECONDS, suppress_origin=True
            )
            try:
                yield Page(connection)
            finally:
                connection.close()
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the program may be a script around the browser
            process.communicate()


def _read_address(process: subprocess.Popen[str]) -> str:
    """Return the address at which the browser takes commands; it says so when it has started."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            return found[1]
        said.append(line)
    raise RuntimeError(f"the browser did not start: {''.join(said)}")
