"""The whole loop in a real Chromium: real daemon, real broker, real subscriber, the tiny model with the real report encoder."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from inspector.daemon import run
from inspector.dashboard.users import set_password
from inspector.edge.log import database_path
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.dashboard import chromium
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.edge.test_link import ask
from tests.orders.test_station import broker, heard  # noqa: F401 - fixtures
from tests.station_kit import ENCODER, export_encoder_into, install_tiny_with_encoder, picture, write_station

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there is one")
WATCH = 'kind = "folder"\npath = "frames"\nwatch = true'
PASSWORD = "correct horse 7"


@pytest.fixture
def station(
    tmp_path: Path,
    tiny: Tiny,
    broker: Mosquitto,  # noqa: F811 - the fixture
    heard: Subscriber,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[StationSettings]:
    """Run a station that waits for pictures, with lot L7 in view."""
    from inspector.edge.topics import Topics  # noqa: PLC0415 - beside its use

    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    export_encoder_into(tmp_path / "models")
    revision = tomllib.loads((tmp_path / "models" / ENCODER / "encoder.toml").read_text(encoding="utf-8"))["revision"]
    install_tiny_with_encoder(tmp_path, tiny.folder, revision)
    settings = write_station(
        tmp_path, cameras_line=WATCH, mqtt=f"port = {broker.port}", log='keep_images = "all"', reports="max_reports = 4",
        commands='allow = ["lot"]',
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, tmp_path, stop, lambda _: None))
    thread.start()
    wait_until(lambda: any("running" in body["state"] for body in heard.bodies("/status")), 60)

    def has_lot() -> bool:
        ask(heard, Topics.of(settings), "lot", {"lot": "L7"})
        return any(body["lot"] == "L7" for body in heard.bodies("/status"))

    for _ in range(20):
        if has_lot():
            break
        threading.Event().wait(0.5)
    yield settings
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def address(station: StationSettings, tmp_path: Path) -> Iterator[str]:
    """Serve the dashboard as a user starts it; return its address."""
    users = tmp_path / "users.toml"
    set_password(users, "mei", PASSWORD, ("review", "command"))
    command = [sys.executable, "-m", "inspector", "--root", str(tmp_path), "dashboard", "s1", "--users", str(users), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found is not None
        yield found.group()
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def show(station: StationSettings, number: int) -> None:
    """Let a part come by: whole at once, as a camera's software writes it."""
    part = station.folder / f"part-{number}.png"
    cv2.imwrite(str(part), picture(number))
    part.rename(station.folder / "frames" / part.name)


def log_in(page: Any, address: str) -> None:
    page.goto(address)
    assert page.url.endswith("/-/login")
    page.fill("[name=username]", "mei")
    page.fill("[name=password]", PASSWORD)
    page.click("button")
    page.wait_for_selector("#wall")


def test_a_verdict_appears_by_itself_and_what_is_signed_about_it_changes_what_the_next_part_is_judged_with(
    station: StationSettings,
    address: str,
    heard: Subscriber,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    with chromium.browser() as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
        log_in(page, address)
        tile = page.locator('[data-station="s1"]')
        page.wait_for_selector('[data-state="running"]')
        assert tile.locator(".word").inner_text() == "no data yet"

        show(station, 1)
        page.wait_for_selector('[data-seq="1"]', timeout=20_000)  # nobody reloads the page
        verdict = tile.locator(".word").inner_text()
        assert verdict in {"PASS", "FAIL", "REVIEW"}
        assert page.evaluate("document.querySelector('figure image').href.baseVal").endswith("/picture")

        page.click("a.why")
        judged = page.eval_on_selector("#label", "field => field.value")
        truth = "scale_crack" if judged != "scale_crack" else "scale_pit"
        page.select_option("#label", truth)
        page.fill("[name=note]", "crack beside the bore, left flank")
        canvas = page.locator("#picture").bounding_box()
        assert canvas is not None
        page.mouse.move(canvas["x"] + 0.25 * canvas["width"], canvas["y"] + 0.25 * canvas["height"])
        page.mouse.down()
        page.mouse.move(canvas["x"] + 0.5 * canvas["width"], canvas["y"] + 0.75 * canvas["height"], steps=4)
        page.mouse.up()
        page.click("text=Sign")
        page.wait_for_selector("text=Signed: 1")

        wait_until(lambda: len(heard.bodies("/review")) == 1)
        (event,) = heard.bodies("/review")
        assert (event["reviewer"], event["label"], event["judged_label"], event["agrees"]) == ("mei", truth, judged, False)
        assert event["part_id"] == heard.bodies("/result")[0]["part_id"]
        x, y, width, height = event["box_px"]
        assert (abs(x - 32), abs(y - 24), abs(width - 32), abs(height - 48)) < (3, 3, 3, 3)

        show(station, 2)
        wait_until(lambda: len(heard.bodies("/result")) == 2)
        first, second = heard.bodies("/result")
        assert (first["reports"], second["reports"]) == ([], [event["report_id"]])
        page.goto(address)
        page.wait_for_selector('[data-seq="2"]')
        page.click("a.why")
        assert "crack beside the bore, left flank" in page.inner_text("main")
        page.click("text=Learning")
        assert "of 1 reviews" in page.inner_text("main")
        assert faults == []
    connection = sqlite3.connect(database_path(station, tmp_path))
    assert connection.execute("SELECT label FROM inspections WHERE seq = 1").fetchone() == (judged,)
    connection.close()


def test_a_screen_whose_dashboard_is_gone_says_that_it_is_old(address: str, station: StationSettings) -> None:
    with chromium.browser() as context:
        page = context.new_page()
        log_in(page, address)
        page.wait_for_selector('[data-state="running"]')
        assert not page.is_visible("#lost")
        page.evaluate("source.close()")
        page.wait_for_selector("#lost:not([hidden])", timeout=20_000)
        assert page.inner_text("#lost") == "Connection lost: what you see is old."
