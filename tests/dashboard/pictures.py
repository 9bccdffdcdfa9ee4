"""``make dashboard-pictures``: every page in a real Chromium, for docs/dashboard.

A station at work, one whose camera is lost, one whose broker is, one without data, one with a million verdicts. The log of the last is the
one that ``make dashboard-load`` leaves; it is filled if it is not there, which takes some minutes.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from inspector.dashboard.users import set_password
from inspector.demo.broker import running_broker
from inspector.edge.instants import now
from inspector.edge.lock import StationLock, mark_started
from inspector.edge.log import Log, database_path
from inspector.settings import StationSettings, read_station
from tests.dashboard import chromium, load
from tests.dashboard.kit import fill, some
from tests.station_kit import write_station

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "dashboard"
PASSWORD = "correct horse 7"
FAULTS = {
    "camera-lost": "line: no frame for 2 s; check its cable and its power",
    "broker-lost": "127.0.0.1:1883: connection refused",
}
LARGEST_BYTES = 150_000
PAGES = {
    "wall": "/",
    "defects": "/-/defects?station=strip&hours=0",
    "reviews": "/-/reviews?station=strip",
    "learning": "/-/learning?station=strip",
    "reports": "/-/reports?station=strip&q=scratch",
    "health": "/-/health?station=press-8",
    "empty": "/-/defects?station=press-9",
    "tables": "/strip/open_reviews",
}
MILLION = ROOT / "var" / "dashboard-load" / f"{load.STATION}.db"
OF_A_MILLION = {
    "million-wall": "/",
    "million-defects": "/-/defects?hours=0",
    "million-lots": "/-/defects?hours=0&by=lot",
    "million-reviews": "/-/reviews",
    "million-health": "/-/health",
    "million-tables": f"/{load.STATION}/inspections",
}


def main() -> None:
    """Draw them all; a picture that would be too large loses colours."""
    if chromium.missing():
        sys.exit(chromium.missing())
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        root = Path(name)
        (root / "models").symlink_to(ROOT / "models")
        (root / "broker").mkdir()
        broker = parts.enter_context(running_broker(root / "broker"))
        strip = real_station(root, broker.port)
        parts.enter_context(faulty_station(root, "press-8", "camera-lost", "broker-lost"))
        parts.enter_context(faulty_station(root, "press-7", "camera-lost"))
        parts.enter_context(faulty_station(root, "press-10", "broker-lost"))
        write_station(root, "press-9")
        million_station(root)
        set_password(root / "users.toml", "mei", PASSWORD, ("review", "sql", "command"))
        parts.enter_context(running(root, "run", "strip"))
        wait_for(database_path(strip, root), 90)
        address = parts.enter_context(board(root, "strip", "press-8", "press-9", "--users", str(root / "users.toml")))
        with chromium.browser(1280, 760) as context:
            draw(context.new_page(), address)
        for names, pages in ((("press-7", "press-10"), {"faults": "/"}), (("press-9",), {"no-data": "/"}), ((load.STATION,), OF_A_MILLION)):
            with board(root, *names) as address, chromium.browser(1280, 760) as context:
                draw_each(context.new_page(), address, pages)


@contextmanager
def board(root: Path, *words: str) -> Iterator[str]:
    """Run a dashboard; yield its address."""
    with running(root, "dashboard", *words, "--port", "0") as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found is not None
        yield found.group()


def settle(page: Any) -> None:
    """Wait until a wall has heard of every station and its pictures are there."""
    while page.locator(".tile:not([data-state])").count():
        page.wait_for_timeout(200)
    page.evaluate("Promise.all([...document.querySelectorAll('image')].map((image) => fetch(image.href.baseVal)))")
    page.wait_for_timeout(1500)


def draw_each(page: Any, address: str, pages: dict[str, str]) -> None:
    """Draw pages that need nothing but a visit."""
    for name, path in pages.items():
        page.goto(address + path)
        settle(page)
        keep(page, name)


def draw(page: Any, address: str) -> None:
    """Visit and draw every page."""
    page.goto(address)
    keep(page, "login")
    page.fill("[name=username]", "mei")
    page.fill("[name=password]", PASSWORD)
    page.click("button")
    page.wait_for_selector('[data-state="running"], [data-state="degraded"]')
    for number in range(2):
        page.goto(f"{address}/-/reviews?station=strip")
        page.click("tbody a")
        page.wait_for_selector("#picture")
        if number:
            keep(page, "why")
        if page.locator("#accept").count():
            page.click("#accept")
        page.fill("[name=note]", "looked at under side light")
        page.click("text=Sign")
        page.wait_for_selector(".done")
    time.sleep(3)
    draw_each(page, address, PAGES)
    ask(page, address)
    page.goto(f"{address}/?lang=zh")
    settle(page)
    keep(page, "wall-zh")


def ask(page: Any, address: str) -> None:
    """Draw the assistant with an answer and with an order, and the page that confirms it; all of it in Chinese too."""
    for language, question in (("en", "show the last defect"), ("zh", "最近的缺陷")):
        suffix = "" if language == "en" else f"-{language}"
        page.goto(f"{address}/-/assist?station=strip&lang={language}")
        for text, name in ((question, f"assistant{suffix}"), ("pause the station", f"assistant-order{suffix}")):
            page.fill("form.ask [name=text]", text)
            page.click("form.ask button.main")
            page.wait_for_selector(f'#answer .heard:has-text("{text}")')
            keep(page, name)
        page.click("#answer a.button")
        page.wait_for_selector("form.order")
        keep(page, f"confirm{suffix}")
    page.goto(f"{address}/?lang=en")
    page.fill("form.ask [name=text]", "how many parts in the last hour")
    page.click("form.ask button.main")
    page.wait_for_selector("#answer dl")
    page.locator("#answer").scroll_into_view_if_needed()
    keep(page, "wall-assistant")
    page.goto(f"{address}/?lang=en")
    page.click("a.why")
    page.click("form.ask button.main")  # without a question
    page.wait_for_selector("#answer .error")
    page.locator("form.ask").scroll_into_view_if_needed()
    keep(page, "why-assistant")


def keep(page: Any, name: str) -> None:
    """Write one picture."""
    path = TARGET / f"{name}.png"
    page.screenshot(path=path)
    for colours in (256, 128, 64, 32):
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(colours).save(path, optimize=True)
        if path.stat().st_size < LARGEST_BYTES:
            break
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201 - a script's own output


def real_station(root: Path, port: int) -> StationSettings:
    """Copy the demo's station; it goes round and round at a frame a second and keeps every picture."""
    folder = root / "calibration" / "strip"
    shutil.copytree(ROOT / "calibration" / "demo", folder)
    text = (folder / "station.toml").read_text(encoding="utf-8").replace("rate_hz = 5.0", "rate_hz = 1.0\nloop = true")
    text += f'\n[decision]\nfail_above = 0.9\n[log]\nkeep_images = "all"\n[mqtt]\nport = {port}\n[commands]\nallow = ["pause", "resume"]\n'
    (folder / "station.toml").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "inspector", "--root", str(root), "reports", "import", "strip", str(folder / "reports.csv")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return read_station(folder)


@contextmanager
def faulty_station(root: Path, name: str, *faults: str) -> Iterator[None]:
    """Stand in for a daemon whose camera or broker is lost: its log and its lock are the real ones."""
    settings = write_station(root, name, mqtt="port = 1883")
    path = fill(settings, root, some(settings, 11))
    lock = StationLock(path)
    lock.acquire()
    mark_started(path, 0)
    with Log(path, settings.name) as log:
        log.event("started", "model tiny, 1 camera(s)")
        for kind in faults:
            log.event(kind, FAULTS[kind])
    yield
    lock.release()


def million_station(root: Path) -> None:
    """Put the log of a million verdicts where its station looks for it."""
    shutil.copytree(ROOT / "calibration" / "demo", root / "calibration" / load.STATION)
    if not MILLION.exists():
        MILLION.parent.mkdir(parents=True, exist_ok=True)
        load.fill(MILLION, 1_000_000)
    log = database_path(read_station(root / "calibration" / load.STATION), root)
    log.parent.mkdir(parents=True)
    log.symlink_to(MILLION)
    with Log(log, load.STATION) as opened:
        if not opened.events(1):
            for kind in ("started", "stopped"):
                opened.event(kind, "model m@1, 1 camera(s)" if kind == "started" else "as somebody wished")


@contextmanager
def running(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a verb until the end of the block."""
    command = [sys.executable, "-m", "inspector", "--root", str(root), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "STATE_DIRECTORY": ""}) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(log: Path, count: int) -> None:
    """Wait until a station has judged so many pictures."""
    began = now()
    while True:
        if log.exists():
            with Log(log, "strip", read_only=True) as opened:
                if opened.last_seq() >= count:
                    return
        if (now() - began).total_seconds() > 400:
            raise SystemExit(f"{log}: fewer than {count} verdicts within 400 s")
        time.sleep(1)


if __name__ == "__main__":
    main()
