"""What this program is to Datasette: routes, the gate before them, and links from its pages back to these. Other sites are left alone."""

import re
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from inspector.dashboard.answering import Visit
from inspector.dashboard.gate import ASSISTANT, LOGIN, App, Gate
from inspector.dashboard.pages import ROUTES, new_watches
from inspector.dashboard.site import Site

_BUG = HTTPStatus.INTERNAL_SERVER_ERROR
_OWN = [re.compile(pattern) for pattern in (*(pattern for pattern, _ in ROUTES), f"^{LOGIN}$")]


@hookimpl(tryfirst=True)
def register_routes(datasette: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - any Datasette of this process
    """Put the pages before Datasette's own."""
    if not isinstance(datasette, Site):
        return []
    datasette.watches = new_watches(datasette)
    return list(ROUTES)


@hookimpl(trylast=True)
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:  # noqa: ANN401 - as above
    """Put the gate before everything."""
    if not isinstance(datasette, Site):
        return lambda app: app
    return lambda app: Gate(app, datasette, lambda path: any(pattern.match(path) for pattern in _OWN))


@hookimpl
def skip_csrf(datasette: Any, scope: Any) -> bool:  # noqa: ANN401 - as above
    """Leave the token of the assistant's form, which carries a file, to its page: it looks at every one (``asking.is_forged``).

    Datasette's own look into such a form (asgi-csrf 0.11) does not work with python-multipart 0.0.34.
    """
    return isinstance(datasette, Site) and scope["path"] == ASSISTANT


@hookimpl
def extra_template_vars(datasette: Any, request: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Let the login speak the reader's language."""
    if not isinstance(datasette, Site) or request is None:
        return {}
    visit = Visit.of(request, datasette)
    return {"t": visit.t, "lang": visit.language}


@hookimpl
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Callable[[], Awaitable[Response]] | None:  # noqa: ANN401 - as above
    """Tell what went wrong in a sentence; a bug goes to stderr, without the values of variables, of which one may be a password."""
    if not isinstance(datasette, Site):
        return None

    async def answer() -> Response:
        status, text = int(getattr(exception, "status", 500)), str(getattr(exception, "message", exception))
        if status >= _BUG:
            traceback.print_exception(exception)
            text = f"{type(exception).__name__}: a bug in inspector; its trace is on stderr (journalctl)"
        if ".json" in request.path:
            return Response.json({"ok": False, "error": text, "status": status}, status=status)
        title = "Not found" if status == HTTPStatus.NOT_FOUND else "This cannot be answered"
        page = await Visit.of(request, datasette).page("trouble.html", title=title, text=text)
        page.status = status
        return page

    return answer


@hookimpl
def menu_links(datasette: Any) -> list[dict[str, str]]:  # noqa: ANN401 - as above
    """Lead from Datasette's own pages back."""
    return [{"href": "/", "label": "inspector"}] if isinstance(datasette, Site) else []
