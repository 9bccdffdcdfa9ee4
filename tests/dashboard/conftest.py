"""A dashboard in this process, and how to visit it; left out where the extra is not installed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasette", reason="the extra dashboard is not installed: pip install 'qc-inspector[dashboard]'")

import httpx
from datasette_auth_passwords.utils import hash_password

from inspector.cli.dashboard import new_help_desk
from inspector.dashboard.serving import build_site
from inspector.dashboard.users import Users
from inspector.edge.commands.sending import Account
from inspector.settings import StationSettings
from tests.dashboard.kit import fill, some
from tests.station_kit import write_station

PASSWORD = "correct horse 7"
Visit = Callable[..., httpx.Response]


class Browser:
    """Visits a site as a browser would: keeps cookies, follows no redirects, asks for HTML."""

    def __init__(self, site: Any, client: tuple[str, int] = ("192.0.2.7", 4711), base: str = "http://127.0.0.1") -> None:
        self.site, self.app = site, site.app()
        self.cookies = httpx.Cookies()
        self.client, self.base = client, base

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.ask("POST", path, data=fields)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=self.client)
            headers = {"accept": "text/html", **more.pop("headers", {})}
            async with httpx.AsyncClient(transport=transport, base_url=self.base, cookies=self.cookies) as client:
                answer = await client.request(method, path, headers=headers, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(send())

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        self.get("/-/login")
        return self.post("/-/login", username=name, password=password, csrftoken=self.token)

    @property
    def token(self) -> str:
        return self.cookies.get("ds_csrftoken") or ""


@pytest.fixture(scope="session")
def users() -> Users:
    hashed = hash_password(PASSWORD, iterations=20_000)
    rights: dict[str, Any] = {"mei": ("review",), "boss": ("review", "sql"), "lead": ("command",), "guest": ()}
    return Users(dict.fromkeys(rights, hashed), rights)


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StationSettings:
    """Return a station with twelve verdicts in its log."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    settings = write_station(tmp_path, "s1")
    fill(settings, tmp_path, some(settings))
    return settings


@pytest.fixture
def site(station: StationSettings, tmp_path: Path, users: Users) -> Any:
    """Return a dashboard of that station and of one that never ran; everybody must log in."""
    return build_site([station, write_station(tmp_path, "s2")], tmp_path, users, new_help_desk(Account()))


@pytest.fixture
def open_site(station: StationSettings, tmp_path: Path) -> Any:
    """Return the same for this machine alone, without users."""
    return build_site([station, write_station(tmp_path, "s2")], tmp_path, None, new_help_desk(Account()))


@pytest.fixture
def browser(open_site: Any) -> Browser:
    return Browser(open_site)
