"""The gate before every page: who may come in, from where, how often, and what a browser may do with what it gets.

With users everything but the login asks for one. Without users the dashboard is for this machine alone, and a request must say so: its
``Host`` is a loopback name (which a rebound DNS name is not) and no proxy has sent it on. Of Datasette's own pages those about itself stay
shut. A request may carry no ``Authorization``: logins have cookies, and a header would pass by the protection against forged forms.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from datasette.actor_auth_cookie import actor_from_request
from datasette.utils.asgi import Request, Response

from inspector.dashboard.site import Site
from inspector.dashboard.uploads import LARGEST_BYTES
from inspector.edge.commands.bucket import Bucket

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

LOGIN = "/-/login"
ASSISTANT = "/-/assist"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PUBLIC = (LOGIN, "/assets/", "/favicon.ico")
_SHUT = (
    "/-/metadata", "/-/settings", "/-/config", "/-/plugins", "/-/versions", "/-/threads", "/-/databases", "/-/actor", "/-/auth-token",
    "/-/permissions", "/-/messages", "/-/allow-debug", "/-/patterns", "/-/password-tool", "/_internal",
)  # fmt: skip
_LONGEST_BYTES = 65_536
"""Longest form: a sentence and a box need no more. That of the assistant may carry a recording."""
_TRIES, _TRIES_PER_S, _CLIENTS = 10, 1 / 12, 1000
"""Attempts to log in: so many at once from one address, so many a second in the long run, and of how many addresses this is known."""
_STRICT = b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
_LOOSE = b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
_FRAME = b"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


class Gate:
    """Wraps the whole site."""

    def __init__(self, app: App, site: Site, own: Callable[[str], bool]) -> None:
        """Stand before an app; ``own`` tells which paths are this program's pages, which need no script or style of their own."""
        self._app, self._site, self._own = app, site, own
        self._tries: dict[str, Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]  # undecoded, as Datasette finds its pages
        headers = [(key, value) for key, value in scope["headers"] if key.lower() != b"authorization"]
        scope = {**scope, "headers": headers}
        answer = self._refusal(scope, path, dict(headers))
        guarded = _guarded(send, is_own=self._own(path), is_tls=scope.get("scheme") == "https")
        if answer is not None:
            await answer.asgi_send(guarded)
        else:
            await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope, path: str, headers: dict[bytes, bytes]) -> Response | None:
        """Return why a request is not let through, None if it is."""
        if path.startswith(_SHUT):
            return Response.text("Not found", status=404)
        longest = LARGEST_BYTES if path == ASSISTANT else _LONGEST_BYTES
        if not _length_is_fine(scope, headers, longest):
            said = "A recording of at most 6 MB, a minute," if path == ASSISTANT else "A form of at most 64 kB, with its length,"
            return Response.text(f"{said} is expected", status=413)
        kind = headers.get(b"content-type", b"")
        if kind.startswith(b"multipart/form-data") and (path != ASSISTANT or b"; boundary=" not in kind):
            return Response.text("This form is not expected here", status=415)
        if self._site.users is not None:
            return self._stranger(scope, path, headers)
        if _is_of_this_machine(headers):
            return None
        return Response.text("This dashboard has no users: open it on its own machine", status=403)

    def _stranger(self, scope: Scope, path: str, headers: dict[bytes, bytes]) -> Response | None:
        """Return what somebody gets who has not logged in, None if the page is open or he has."""
        if path == LOGIN and scope["method"] == "POST" and not self._may_try(scope):
            return Response.text("Too many attempts: wait a minute", status=429)
        if path.startswith(_PUBLIC) or actor_from_request(self._site, Request(scope, None)):
            return None
        if scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
            return Response.redirect(LOGIN)
        return Response.text("Log in first", status=403)

    def _may_try(self, scope: Scope) -> bool:
        client = str((scope.get("client") or ("?",))[0])
        if client not in self._tries and len(self._tries) >= _CLIENTS:
            self._tries.pop(next(iter(self._tries)))
        return self._tries.setdefault(client, Bucket(_TRIES_PER_S, _TRIES)).take(time.monotonic())


def _length_is_fine(scope: Scope, headers: dict[bytes, bytes], longest: int) -> bool:
    if scope["method"] in {"GET", "HEAD"}:
        return True
    length = headers.get(b"content-length", b"")
    return length.isdigit() and int(length) <= longest


def _is_of_this_machine(headers: dict[bytes, bytes]) -> bool:
    host = urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname
    return host in LOOPBACK and not any(key in headers for key in (b"x-forwarded-for", b"forwarded", b"x-real-ip"))


def _guarded(send: Send, *, is_own: bool, is_tls: bool) -> Send:
    """Return a ``send`` that tells the browser what it may do with the answer."""
    policy = (_STRICT if is_own else _LOOSE) + _FRAME
    added = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"same-origin"),
    ]

    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [(key, _shut(key, value, is_tls=is_tls)) for key, value in message["headers"]]
            if not any(key.lower() == b"content-security-policy" for key, _ in headers):
                headers.append((b"content-security-policy", policy))
            message = {**message, "headers": [*headers, *added]}
        await send(message)

    return guarded


def _shut(key: bytes, cookie: bytes, *, is_tls: bool) -> bytes:
    """Return a header; a cookie so that no script reads it and, where there is TLS, no plain connection carries it."""
    if key.lower() != b"set-cookie":
        return cookie
    return cookie + (b"" if b"httponly" in cookie.lower() else b"; HttpOnly") + (b"; Secure" if is_tls else b"")
