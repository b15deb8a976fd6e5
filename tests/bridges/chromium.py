"""A headless Chromium, driven over its DevTools protocol: open a page, press keys, look at it.

Not a test framework: what a page shows is asked for in JavaScript. Everything is synchronous for
the caller; a thread holds the websocket.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-default-apps", "--disable-extensions", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
    *("--hide-scrollbars", "--mute-audio", "--remote-debugging-port=0"),
)
# For a browser on a machine that does much else.
START_S_MAX = REPLY_S_MAX = 90.0
WAIT_S_MAX = 60.0

CODES = {"/": "Slash", "?": "Slash", " ": "Space"}


def find_chromium() -> str | None:
    """Where it stands: Debian's name first."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Chromium:
    """One browser; each `Page` has cookies and storage of its own."""

    def __init__(self, folder: Path) -> None:
        program = find_chromium()
        assert program is not None
        self._folder = folder
        # A group of its own: Chromium starts other programs, which end with it.
        self._program = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._sent_n = 0
        try:
            self._in_loop(self._connect(self._address()))
        except BaseException:
            self._end()
            raise

    def open_page(
        self,
        width: int = 1280,
        height: int = 900,
        *,
        dark: bool = False,
        touch: bool = False,
        beside: Page | None = None,
    ) -> Page:
        """A page with cookies and storage of its own, or with those of the one `beside` it."""
        context = (
            self.send("Target.createBrowserContext")["browserContextId"]
            if beside is None
            else beside.context
        )
        target = self.send(
            "Target.createTarget", {"url": "about:blank", "browserContextId": context}
        )["targetId"]
        attached = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, attached["sessionId"], context)
        self._pages[attached["sessionId"]] = page
        page.send("Runtime.enable")
        page.send("Page.enable")
        page.send("Log.enable")
        # Only so does a page that is not in front believe that somebody looks at it.
        page.send("Emulation.setFocusEmulationEnabled", {"enabled": True})
        page.send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch},
        )
        if touch:
            page.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
        scheme = "dark" if dark else "light"
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        page.send("Emulation.setEmulatedMedia", {"features": wanted})
        return page

    def send(
        self, method: str, params: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        return self._in_loop(self._send(method, params or {}, session))

    def close(self) -> None:
        self._in_loop(self._disconnect())
        self._end()

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S_MAX)

    def _address(self) -> str:
        """Chromium writes its port and path once it listens."""
        written = self._folder / "DevToolsActivePort"
        for _ in range(int(START_S_MAX / 0.05)):
            lines = written.read_text("utf-8").split() if written.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            assert self._program.poll() is None, "Chromium ended at its start"
            time.sleep(0.05)
        raise TimeoutError("Chromium does not listen")

    async def _connect(self, address: str) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(address, max_msg_size=0)
        self._reader = asyncio.ensure_future(self._read())

    async def _disconnect(self) -> None:
        self._reader.cancel()
        await self._socket.close()
        await self._session.close()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        os.killpg(self._program.pid, signal.SIGTERM)
        try:
            self._program.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait(10)

    async def _send(
        self, method: str, params: dict[str, Any], session: str | None
    ) -> dict[str, Any]:
        self._sent_n += 1
        message = {"id": self._sent_n, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._waiting[self._sent_n] = reply
        await self._socket.send_str(json.dumps(message))
        said = await asyncio.wait_for(reply, REPLY_S_MAX)
        assert "error" not in said, (method, said["error"])
        return said["result"]

    async def _read(self) -> None:
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif page := self._pages.get(message.get("sessionId", "")):
                page.heard(message["method"], message["params"])


class Page:
    """One page. `faults` are the errors in its console and what it did not catch."""

    def __init__(self, browser: Chromium, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self.context = context
        self.faults: list[str] = []
        self.dialogs: list[str] = []

    def send(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._browser.send(method, params, self._session)

    def close(self) -> None:
        self._browser.send("Target.disposeBrowserContext", {"browserContextId": self.context})

    def heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])

    def forget(self) -> None:
        """Leave, without cookies, and with nothing heard."""
        self.send("Network.clearBrowserCookies")
        self.send("Page.navigate", {"url": "about:blank"})
        self.wait("location.href === 'about:blank'")
        self.faults.clear()
        self.dialogs.clear()

    def go(self, url: str) -> None:
        self.send("Page.navigate", {"url": url})
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript; a promise is awaited."""
        said = self.send(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        assert "exceptionDetails" not in said, (expression, said["exceptionDetails"])
        return said["result"].get("value")

    def wait(self, expression: str, seconds: float = WAIT_S_MAX) -> Any:
        """Until it is true; what it gave."""
        end = time.monotonic() + seconds
        while True:
            if found := self.run(expression):
                return found
            if time.monotonic() > end:
                shown = self.run("document.body.dataset.state + ': ' + document.body.innerText")
                raise AssertionError(f"never true: {expression}\n{shown[:1500]}\n{self.faults}")
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """What people see of it, "" if it is hidden."""
        found = f"document.querySelector({json.dumps(selector)})"
        return self.run(f"{found}?.checkVisibility() ? {found}.innerText : ''")

    def press(self, key: str, *, shift: bool = False, repeats_n: int = 0) -> None:
        """A key of a keyboard, down and up again; one that is held down repeats."""
        is_letter = len(key) == 1 and key.isalpha()
        code = f"Key{key.upper()}" if is_letter else f"Digit{key}" if key.isdigit() else ""
        event = {"key": key, "code": code or CODES.get(key, key), "modifiers": 8 if shift else 0}
        if key in ("Enter", " "):
            event["text"] = "\r" if key == "Enter" else key
        elif len(key) == 1:
            event["text"] = key
        virtual = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38}
        event["windowsVirtualKeyCode"] = virtual.get(key, ord(key.upper()) if len(key) == 1 else 0)
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        for _ in range(repeats_n):
            time.sleep(0.05)
            self.send("Input.dispatchKeyEvent", {"type": "keyDown", "autoRepeat": True, **event})
        event.pop("text", None)
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def write(self, text: str) -> None:
        self.send("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        """With the pointer, where the element is: what covers it would get the click."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", {"type": kind, **at})

    def shoot(self, path: Path, *, whole: bool = False) -> None:
        said = self.send("Page.captureScreenshot", {"captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(said["data"]))
