"""Chromium, driven by its DevTools protocol through a pipe: what tests of a page ask of it."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --remote-debugging-pipe"
).split()
PATIENCE_S = 120  # until which an answer must be there; a loaded machine is slow


def find_browser():
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One process of Chromium with a profile of its own, and the page that is open in it."""

    def __init__(self, program):
        self._profile = tempfile.mkdtemp(prefix="kbe-browser-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def as_three_and_four():  # it reads and writes those
            import fcntl

            # Above ten, neither stands in the other's place.
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
            for number, end in zip((3, 4), ends, strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=as_three_and_four,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._text, self._session = 0, b"", None
        self.events = []
        (target,) = [
            one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        """End it, and remove its profile."""
        try:
            self._session = None
            self.call("Browser.close")
        except (OSError, EOFError):
            pass
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method, **parameters):
        """Send a command, and return its result; what happens meanwhile goes into `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _read(self):
        until = time.monotonic() + PATIENCE_S
        while b"\0" not in self._text:
            if not select.select([self._in], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("Chromium has ended")
            self._text += more
        message, _, self._text = self._text.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, awaited; what it throws is raised."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def open(self, url, before=""):
        """Open a page and wait until it is loaded; `before` is a script that runs first."""
        script = self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        self.call("Page.removeScriptToEvaluateOnNewDocument", **script)

    def size(self, width, height, mobile=False):
        """Set the size of the window, CSS px."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def prefer(self, **features):
        """Set media features, such as prefers_color_scheme="dark"."""
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def mouse(self, kind, x, y, **more):
        """Send an event: mousePressed, mouseReleased, mouseMoved, or mouseDragged, at (x, y)."""
        button = {} if kind == "mouseMoved" else {"button": "left", "buttons": 1}
        kind, clicks = (kind, 1) if kind != "mouseDragged" else ("mouseMoved", 0)
        button |= {"clickCount": clicks}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button | more)

    def key(self, name, **more):
        """Press a key and let it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, **more)

    def screenshot(self, path, whole=True):
        """Write a picture of the page."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self):
        """What the page has logged as warnings or errors, or thrown."""
        said = []
        for event in self.events:
            kind, about = event.get("method"), event.get("params", {})
            if kind == "Log.entryAdded" and about["entry"]["level"] in ("warning", "error"):
                said.append(about["entry"]["text"])
            if kind == "Runtime.exceptionThrown":
                said.append(str(about["exceptionDetails"]))
            if kind == "Runtime.consoleAPICalled" and about["type"] in ("warning", "error"):
                said.append(str(about["args"]))
        return said

    def requests(self):
        """What the page has asked for, by its address; what it holds itself is not asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
            and not event["params"]["request"]["url"].startswith("data:")
        ]
