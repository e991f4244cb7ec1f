"""Driving headless Chromium over its DevTools protocol: real clicks, files and a microphone."""

import base64
import contextlib
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from websockets.sync.client import connect

from tests.helpers.browser import OPTIONS

_PATIENCE = 60  # s


class Tab:
    """One page. What it says on its console, and what it fetches, is kept."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self.console = []
        self.requests = []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method, **arguments):
        """The result of one command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=_PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._keep(answer)

    def _keep(self, event):
        values = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif event["method"] == "Log.entryAdded":
            self.console.append(values["entry"]["text"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.console.append(values["exceptionDetails"]["exception"]["description"])
        elif event["method"] == "Runtime.consoleAPICalled":
            self.console.append(str([each.get("value") for each in values["args"]]))

    def open(self, address, size=(1200, 900)):
        """Go to a page in a window of `size` CSS pixels."""
        self.resize(*size)
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def resize(self, width, height):
        """Give the window another size in CSS pixels."""
        values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **values)

    def dark(self, dark=True):
        """Choose the colour scheme that the user prefers."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def value(self, expression):
        """Value of a JavaScript expression."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression, seconds=_PATIENCE):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.02)

    def choose(self, selector, file):
        """Choose a file in an <input type="file">."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def mouse(self, x, y, *kinds):
        """Mouse events at a point of the window: 'mouseMoved', 'mousePressed', ..."""
        for kind in kinds:
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def key(self, key, code, number, text=None):
        """Press and release a key."""
        values = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call(
            "Input.dispatchKeyEvent", type="keyDown", **values, **({"text": text} if text else {})
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def screenshot(self, path, whole=True):
        """Write a PNG of the page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def open_tab(chromium, *options):
    """A tab of a Chromium with an empty profile, which ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(chromium, *OPTIONS, *options, "--remote-debugging-port=0"),
                *(f"--user-data-dir={profile}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = _page(pathlib.Path(profile, "DevToolsActivePort"))
            with connect(address, max_size=None, open_timeout=_PATIENCE) as socket:
                tab = Tab(socket)
                yield tab
                with contextlib.suppress(Exception):
                    tab.call("Browser.close")
        finally:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _page(file):
    """Address of the one page's socket; Chromium writes its port to a file of the profile."""
    end = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(OSError, IndexError, StopIteration):
            port = file.read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                pages = json.load(answer)
            return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        assert time.monotonic() < end, "Chromium opens no port for its tools"
        time.sleep(0.05)
