"""What every page does alike: speak the reader's language, choose a station and a time, hand out page or table, tell of a log at fault."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from urllib.parse import urlencode

from datasette.utils.asgi import Forbidden, NotFound, Request, Response

from inspector.dashboard.exporting import Table
from inspector.dashboard.site import Shown, Site
from inspector.dashboard.words import Language, language_of, translate
from inspector.edge.instants import now
from inspector.errors import LogError

Page: TypeAlias = Callable[[Request, Site], Awaitable[Response]]

HOURS = {"8": "8 hours", "24": "24 hours", "168": "7 days", "720": "30 days", "0": "all"}
"""How far back a page looks, hours, and its words; 0: as far as there is."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page."""

    site: Site
    """The dashboard."""
    request: Request
    """What was asked."""
    language: Language
    """What the reader speaks."""

    @classmethod
    def of(cls, request: Request, site: Site) -> "Visit":
        """Look at a request."""
        accepted = request.headers.get("accept-language", "")
        return cls(site, request, language_of(request.args.get("lang"), request.cookies.get("lang"), accepted))

    @property
    def user(self) -> str | None:
        """Name of who is logged in."""
        return self.request.actor["id"] if self.request.actor else None

    def may(self, right: str) -> bool:
        """Return whether the reader has a right."""
        return bool(self.request.actor) and right in self.request.actor.get("may", ())

    def t(self, english: str, **values: object) -> str:
        """Return words in the reader's language."""
        said = translate(english, self.language)
        return said.format(**values) if values else said

    def station(self, name: str | None = None) -> Shown:
        """Return the station that was asked for, the first if none was. Raises ``NotFound``."""
        asked = name or self.request.args.get("station") or next(iter(self.site.stations))
        if asked not in self.site.stations:
            raise NotFound(f"There is no station {asked!r} here")
        return self.site.stations[asked]

    @property
    def hours(self) -> str:
        """How far back to look, a key of ``HOURS``."""
        asked = self.request.args.get("hours")
        return asked if asked in HOURS else "24"

    @property
    def since(self) -> datetime:
        """The instant from which on to look."""
        hours = int(self.hours)
        return now() - timedelta(hours=hours) if hours else datetime(1970, 1, 1, tzinfo=UTC)

    async def page(self, template: str, table: Table | None = None, **context: object) -> Response:
        """Return a page, or its table as CSV or JSON where that was asked for."""
        form = self.request.args.get("format")
        if table is not None and form in {"csv", "json"}:
            text, kind = (table.to_csv(), "text/csv") if form == "csv" else (table.to_json(), "application/json")
            name = template.partition(".")[0]
            return Response(
                text, headers={"content-disposition": f'attachment; filename="{name}.{form}"'}, content_type=f"{kind}; charset=utf-8"
            )
        args = {key: self.request.args.get(key) for key in self.request.args}
        body = await self.site.render_template(
            template,
            {
                "t": self.t,
                "lang": self.language,
                "stations": list(self.site.stations),
                "path": self.request.path,
                "args": args,
                "with_args": functools.partial(_with_args, args),
                "visit": self,
                "logs_in": self.site.users is not None,
                "has_assistant": self.site.help_desk is not None,
                "here": template.partition(".")[0],
                **context,
            },
            request=self.request,
        )
        response = Response.html(body)
        if self.request.args.get("lang") in {"en", "zh"}:
            response.set_cookie("lang", self.language, max_age=31_536_000)
        return response


def answered(page: Callable[[Visit], Awaitable[Response]]) -> Page:
    """Return a view for Datasette; a log that cannot be read is told on a page, not in a traceback."""

    async def view(request: Request, datasette: Site) -> Response:
        visit = Visit.of(request, datasette)
        try:
            return await page(visit)
        except LogError as error:
            response = await visit.page("trouble.html", title="The log cannot be read", text=str(error))
            response.status = 503
        except (NotFound, Forbidden) as error:
            response = await visit.page("trouble.html", title="Not found", text=str(error))
            response.status = 404 if isinstance(error, NotFound) else 403
        return response

    return view


def _with_args(args: Mapping[str, str], **changes: str) -> str:
    """Return a query string with some arguments changed; an empty one is left out."""
    return "?" + urlencode({key: value for key, value in {**args, **changes}.items() if value and key != "_"})
