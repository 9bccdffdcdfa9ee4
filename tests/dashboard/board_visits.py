"""Readers of a dashboard that is killed now and then: they visit pages, watch the stream, sign reviews, and keep what they were told."""

import http.client
import itertools
import re
import threading
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

USER, PASSWORD = "mei", "correct horse 7"
STATION = "s1"
PAGES = (
    "/", "/-/defects?hours=0", "/-/defects?by=hour&hours=0", "/-/defects?by=lot&hours=0", "/-/reviews", "/-/reviews?format=csv",
    "/-/reports", "/-/health", "/-/learning", "/-/assist", f"/{STATION}", f"/{STATION}/inspections", f"/{STATION}/open_reviews.json",
)  # fmt: skip
_TIMEOUT_S = 30.0


@dataclass
class Told:
    """What the readers were told, all together."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by their status."""
    faults: list[str] = field(default_factory=list)
    """Answers that should not have been: anything but 200 or, to a review, 303."""
    cut_off: int = 0
    """Requests that a kill cut off, or that found nobody."""
    events: int = 0
    """Tiles that came over the stream."""
    signed: list[str] = field(default_factory=list)
    """Notes of the reviews that the dashboard has said it keeps."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reader:
    """One browser without a screen."""

    def __init__(self, port: int, told: Told, stop: threading.Event) -> None:
        self.port, self.told, self.stop = port, told, stop
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, text and where it leads. Raises ``OSError`` or ``HTTPException`` if nobody answers to the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        headers = {"accept": "text/html", "cookie": "; ".join(f"{key}={value}" for key, value in self.cookies.items())}
        body = None
        if fields is not None:
            body = urllib.parse.urlencode({**fields, "csrftoken": self.cookies.get("ds_csrftoken", "")})
            headers["content-type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            for value in answer.headers.get_all("set-cookie") or []:
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
            return answer.status, answer.read().decode("utf-8", "replace"), answer.headers.get("location") or ""
        finally:
            connection.close()

    def log_in(self) -> None:
        """Log in; a login outlives a killed dashboard."""
        self.ask("GET", "/-/login")
        status, _, _ = self.ask("POST", "/-/login", {"username": USER, "password": PASSWORD})
        if status != 302:
            raise AssertionError(f"the login was answered with {status}")

    def visit(self) -> None:
        """Visit page after page until told to stop."""
        for path in itertools.cycle(PAGES):
            if self.stop.is_set():
                return
            self._noted("GET", path, expected=200)

    def sign(self) -> None:
        """Sign what is open, one after another; each review has a note of its own."""
        for number in itertools.count(1):
            if self.stop.wait(0.3):
                return
            status, page = self._noted("GET", "/-/reviews", expected=200)
            found = re.search(rf'href="/-/why/{STATION}/([0-9a-f-]{{36}})"', page) if status == 200 else None
            if found is None:
                continue
            note = f"note {number}"
            status, _ = self._noted("POST", f"/-/review/{STATION}/{found[1]}", {"label": "scale", "note": note}, expected=303)
            if status == 303:
                with self.told.lock:
                    self.told.signed.append(note)

    def watch(self) -> None:
        """Watch the live stream; one that breaks off is opened anew."""
        while not self.stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
            cookie = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
            try:
                connection.request("GET", "/-/events", headers={"cookie": cookie})
                answer = connection.getresponse()
                while not self.stop.is_set() and (line := answer.readline()):
                    self.told.events += line.startswith(b"data: ")
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            self.stop.wait(0.2)

    def _noted(self, method: str, path: str, fields: dict[str, str] | None = None, *, expected: int) -> tuple[int, str]:
        """Ask, and note the answer; status 0 if nobody has answered to the end."""
        try:
            status, text, location = self.ask(method, path, fields)
        except (OSError, http.client.HTTPException):
            with self.told.lock:
                self.told.cut_off += 1
            self.stop.wait(0.2)
            return 0, ""
        with self.told.lock:
            self.told.statuses[status] += 1
            if status != expected:
                said = " ".join(re.sub(r"<[^>]+>", " ", text.partition("<main>")[2] or text).split())[:200]
                self.told.faults.append(f"{method} {path}: {status} {location} {said}")
        return status, text
