"""The site: Datasette with the logs of the stations behind it. Every question opens a log, asks and lets go, in a thread of its own."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datasette.app import Datasette
from datasette.database import Database
from datasette.utils import sqlite_timelimit

from inspector.dashboard.helping import HelpDesk
from inspector.dashboard.questions import has_log
from inspector.dashboard.reading import reading
from inspector.dashboard.users import Users
from inspector.edge.log import database_path
from inspector.edge.schema import migrations
from inspector.edge.sqlite_errors import as_log_error
from inspector.errors import LogError
from inspector.settings import StationSettings

T = TypeVar("T")

_HERE = Path(__file__).parent
_LIMIT_MS = 1000
"""Time after which a question of somebody's own is broken off."""
_PAGE_LIMIT_MS = 5000
"""The same for the questions of the pages, which take some 50 ms: a cold disk or a busy machine may make more of it."""
_ROWS = 1000
"""Rows of one answer of Datasette's own pages."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One station on the dashboard."""

    settings: StationSettings
    """Its settings."""
    root: Path
    """Folder that holds ``calibration`` and ``models``."""
    log: Path
    """Its log, which may not be there yet."""

    @classmethod
    def of(cls, settings: StationSettings, root: Path) -> "Shown":
        """Find the log of a station."""
        return cls(settings, root, database_path(settings, root))

    def label(self, product: object, label: object, language: str) -> str:
        """Return a label as people call it."""
        section = self.settings.products.get(str(product))
        named = section.display.get(str(label), {}) if section is not None else {}
        return named.get(language) or named.get("en") or str(label or "").replace("_", " ")


class LogDatabase(Database):
    """A station's log as Datasette's own pages ask it; it is opened for each question."""

    async def execute_fn(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask a question in another thread."""

        def look() -> T:
            with reading(Path(self.path)) as connection:
                self.ds._prepare_connection(connection, self.name)  # noqa: SLF001 - Datasette's own override point is this method
                return question(connection)

        return await asyncio.get_running_loop().run_in_executor(self.ds.executor, look)

    async def execute_write_fn(self, *_: object, **__: object) -> None:
        """Refuse: the daemon alone writes its log."""
        raise PermissionError("the dashboard never writes a log")

    @property
    def size(self) -> int:
        """Length of the file, bytes; 0 before the first start."""
        path = Path(self.path)
        return path.stat().st_size if path.exists() else 0


class Site(Datasette):
    """The whole dashboard."""

    def __init__(self, stations: Mapping[str, Shown], users: Users | None, help_desk: HelpDesk | None = None) -> None:
        """Set the site up. Without ``users`` nobody logs in, so it must be reachable from this machine alone."""
        self.stations = stations
        self.users = users
        self.help_desk = help_desk
        accounts = {f"{name}_password_hash": text for name, text in users.hashes.items()} if users else {}
        actors = {name: {"id": name, "may": list(rights)} for name, rights in users.rights.items()} if users else {}
        super().__init__(
            settings={
                "sql_time_limit_ms": _LIMIT_MS,
                "max_returned_rows": _ROWS,
                "default_allow_sql": False,
                "allow_download": False,
                "suggest_facets": False,
                "num_sql_threads": 3,
            },
            metadata={
                "title": "inspector",
                "allow_sql": {"id": users.with_right("sql") if users else []},
                "plugins": {"datasette-auth-passwords": {**accounts, "actors": actors}},
            },
            template_dir=str(_HERE / "templates"),
            static_mounts=[("assets", str(_HERE / "static"))],
            secret=users.secret if users else None,
        )
        self.remove_database("_memory")
        for name, station in stations.items():
            self.add_database(LogDatabase(self, str(station.log)), name=name)

    async def ask(self, station: Shown, question: Callable[[sqlite3.Connection], T]) -> T | None:
        """Ask a station's log; None before the first start of its daemon. Raises ``LogError`` if it cannot be read."""

        def look() -> T | None:
            with as_log_error(station.log, "read the log"), reading(station.log) as connection:
                if not has_log(connection):
                    return None
                _refuse_older(connection, station.log)
                return _in_time(connection, question, station.log)

        return await asyncio.get_running_loop().run_in_executor(self.executor, look)


def _refuse_older(connection: sqlite3.Connection, log: Path) -> None:
    """Raise ``LogError`` if the log lacks what the pages ask for; what a newer program has added does no harm."""
    found, needed = connection.execute("SELECT max(number) FROM migrations").fetchone()[0], migrations()[-1].number
    if found < needed:
        raise LogError(f"{log}: the log has version {found}, {needed} is needed; start the daemon once, it brings the log up to date")


def _in_time(connection: sqlite3.Connection, question: Callable[[sqlite3.Connection], T], log: Path) -> T:
    """Ask, and raise ``LogError`` if the answer takes too long."""
    try:
        with sqlite_timelimit(connection, _PAGE_LIMIT_MS):
            return question(connection)
    except sqlite3.OperationalError as error:
        if str(error) == "interrupted":
            raise LogError(f"{log}: no answer within {_PAGE_LIMIT_MS} ms, so it was broken off; ask for a shorter time") from error
        raise
