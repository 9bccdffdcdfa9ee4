"""A page on this machine alone that shows a picture and lets a person draw regions on it; every byte of it comes from here.

It listens on 127.0.0.1, at a path that holds a secret, and ends with the first Save that is taken.
"""

import hmac
import json
import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Self
from urllib.parse import urlsplit

from inspector.errors import SettingsError
from inspector.settings.regions_file import Box

_MOST_BYTES = 100_000
"""Longest answer that a page may send: some thousand regions."""
_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
_LOCAL = frozenset({"127.0.0.1", "localhost"})

Save = Callable[[Sequence[tuple[str, Box]]], None]
"""Takes the regions that were drawn. Raises ``SettingsError`` with the reasons if they cannot be."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What the page shows."""

    title: str
    """Station and camera."""
    png: bytes
    """The picture."""
    size_px: tuple[int, int]
    """Its width and height."""
    boxes: Sequence[tuple[str, Box]]
    """Regions that there are already."""
    least_px: int
    """Least side of a region."""


class _Server(ThreadingHTTPServer):
    """Serves each request in a thread of its own, because browsers keep connections open that they do not use."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that has gone; a mistake of ours is told as always."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class RegionPage:
    """Serves the page until regions are saved. Use it as a context."""

    def __init__(self, canvas: Canvas, save: Save, port: int = 0) -> None:
        """Listen on a port of 127.0.0.1; 0 takes a free one. Raises ``SettingsError`` if that one is taken."""
        self.saved = threading.Event()
        self._canvas, self._save, self._turn, self._is_done = canvas, save, threading.Lock(), False
        self._secret = f"/{secrets.token_urlsafe(24)}/"
        try:
            self._server = _Server(("127.0.0.1", port), self._handler())
        except OSError as error:
            raise SettingsError(f"--port {port}", [f"cannot be opened on 127.0.0.1 ({error.strerror}); give another one"]) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="regions page", daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where the page is; whoever knows it may draw."""
        return f"http://127.0.0.1:{self.port}{self._secret}"

    @property
    def port(self) -> int:
        """Port that is listened on."""
        return int(self._server.server_address[1])

    def content(self, name: str) -> tuple[bytes, str] | None:
        """Return what lies under a name below the secret path, and its type; None if there is nothing."""
        if not name:
            return files("inspector").joinpath("cli", "regions.html").read_bytes(), "text/html; charset=utf-8"
        if name == "picture.png":
            return self._canvas.png, "image/png"
        if name == "canvas.json":
            return _json(self._described()), "application/json"
        return None

    def take(self, body: bytes) -> list[str]:
        """Save what a page has sent; return why it cannot be, [] if it is saved."""
        try:
            drawn = [(item["name"], _box(item["box_px"])) for item in json.loads(body)["regions"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ["the page sent what is no list of regions; load it again"]
        if not all(isinstance(name, str) for name, _ in drawn):
            return ["the page sent a name that is no text; load it again"]
        with self._turn:
            if self._is_done:
                return ["the regions were saved already; run inspector calibrate regions again to change them"]
            try:
                self._save(drawn)
            except SettingsError as error:
                return error.mistakes
            self._is_done = True
        return []

    def is_ours(self, path: str, host: str) -> str | None:
        """Return the name below the secret path, None if a request does not know the secret or comes by another site's name."""
        begin, name = path[: len(self._secret)], path[len(self._secret) :]
        with suppress(ValueError):
            if urlsplit(f"//{host}").hostname in _LOCAL and hmac.compare_digest(begin.encode(), self._secret.encode()):
                return name
        return None

    def _described(self) -> dict[str, Any]:
        canvas = self._canvas
        boxes = [{"name": name, "box_px": box} for name, box in canvas.boxes]
        return {"title": canvas.title, "size_px": canvas.size_px, "least_px": canvas.least_px, "regions": boxes}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            """Answers the browser."""

            timeout = 30

            def do_GET(self) -> None:
                """Send the page, its picture or its regions."""
                name = page.is_ours(self.path, self.headers.get("Host", ""))
                found = None if name is None else page.content(name)
                self._answer(*((404, b"not found", "text/plain") if found is None else (200, *found)))

            def do_POST(self) -> None:
                """Save regions."""
                length = self.headers.get("Content-Length", "")
                if page.is_ours(self.path, self.headers.get("Host", "")) != "save":
                    self._answer(404, b"not found", "text/plain")
                elif not length.isdecimal() or int(length) > _MOST_BYTES:
                    self._answer(413, _json({"mistakes": ["too many regions"]}), "application/json")
                else:
                    self._save(page.take(self.rfile.read(int(length))))

            def _save(self, mistakes: list[str]) -> None:
                """Answer a Save; only then may the command go on and end, with or without a browser that still listens."""
                try:
                    self._answer(400 if mistakes else 200, _json({"mistakes": mistakes}), "application/json")
                finally:
                    if not mistakes:
                        page.saved.set()

            def log_message(self, *_: object) -> None:
                """Say nothing: the terminal belongs to the command."""

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                for key, value in (
                    ("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                    ("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                ):  # fmt: skip
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler


def _box(value: object) -> Box:
    """Return a list of four whole numbers as a box. Raises ``ValueError``."""
    match value:
        case [int(x), int(y), int(width), int(height)]:
            return x, y, width, height
    raise ValueError(f"{value!r} is no box")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
