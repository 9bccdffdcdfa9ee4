"""``inspector calibrate regions``: boxes on the command line, and the page, driven as a browser would."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import pytest
from click.testing import CliRunner, Result

from inspector.cli import main
from inspector.cli.region_page import Canvas, RegionPage
from inspector.errors import SettingsError
from inspector.settings import read_station
from tests.scene_kit import view
from tests.station_kit import write_station

CANVAS = Canvas("s1: line", b"a picture", (960, 540), [("rim", (1, 2, 50, 60))], 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_station(tmp_path, regions_rim="box_px = [1, 2, 50, 60] # the rim")
    cv2.imwrite(str(tmp_path / "view.png"), view(1))
    return tmp_path


def words(root: Path, *more: str) -> list[str]:
    return ["--root", str(root), "calibrate", "regions", "s1", "--camera", "line", "--picture", str(root / "view.png"), *more]


def regions(root: Path, *more: str) -> Result:
    return CliRunner().invoke(main, words(root, *more), env={"STATE_DIRECTORY": ""})


def boxes(root: Path) -> dict[str, tuple[int, int, int, int]]:
    return {name: section.box_px for name, section in read_station(root / "calibration" / "s1").regions.items()}


def ask(address: str, name: str = "", body: Any = None, host: str | None = None) -> tuple[int, bytes]:
    """Send what a browser would send; return status and answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 0, timeout=10)
    try:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request("GET" if body is None else "POST", parts.path + name, raw, {"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_boxes_are_added_or_replaced_and_drawn(root: Path) -> None:
    done = regions(root, "--box", "hub=100,100,200,150", "--box", "rim=5,5,60,60")
    assert done.exit_code == 0, done.output
    assert boxes(root) == {"hub": (100, 100, 200, 150), "rim": (5, 5, 60, 60)}
    assert "next reload or start" in done.stdout
    drawn = cv2.imread(str(root / "var" / "s1" / "regions-s1-line.png"))
    assert drawn is not None
    assert drawn.shape == (540, 960, 3)
    assert (drawn != cv2.imread(str(root / "view.png"))).any()


@pytest.mark.parametrize(
    ("box", "code", "message"),
    [
        ("hub=900,100,200,150", 1, "leaves the picture of 960 x 540 pixels"),
        ("hub=100,100,20,150", 1, "too small, width and height must be 32 pixels or more"),
        ("left hub=100,100,200,150", 1, "a name takes letters"),
        ("hub=100,100,200", 2, "should read like rim=100,50,640,480"),
    ],
)
def test_a_wrong_box_is_refused_with_its_reason_and_nothing_is_written(root: Path, box: str, code: int, message: str) -> None:
    before = (root / "calibration" / "s1" / "station.toml").read_text(encoding="utf-8")
    done = regions(root, "--box", box)
    assert done.exit_code == code
    assert message in done.stderr
    assert (root / "calibration" / "s1" / "station.toml").read_text(encoding="utf-8") == before


@pytest.fixture
def served(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command in a process of its own, as an engineer does; yield it and the page's address."""
    with subprocess.Popen(
        [sys.executable, "-m", "inspector", *words(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())
            assert found
            yield process, found[0]
        finally:
            process.kill()


def test_what_is_drawn_on_the_page_is_written_once_it_is_right(root: Path, served: tuple[subprocess.Popen[str], str]) -> None:
    process, address = served
    status, page = ask(address)
    assert status == 200
    assert b"<svg" in page
    assert not re.search(rb"""(src|href)=["']?https?:""", page), "the page takes nothing from elsewhere"
    status, canvas = ask(address, "canvas.json")
    assert json.loads(canvas) == {
        "title": "s1: line", "size_px": [960, 540], "least_px": 32, "regions": [{"name": "rim", "box_px": [1, 2, 50, 60]}],
    }  # fmt: skip
    assert ask(address, "picture.png")[1].startswith(b"\x89PNG")
    status, answer = ask(
        address, "save", {"regions": [{"name": "hub", "box_px": [900, 0, 200, 100]}, {"name": "", "box_px": [0, 0, 9, 9]}]}
    )
    assert status == 400
    assert len(json.loads(answer)["mistakes"]) == 3
    assert boxes(root) == {"rim": (1, 2, 50, 60)}
    assert ask(address, "save", {"regions": [{"name": "hub", "box_px": [100, 0, 200, 100]}]}) == (200, b'{"mistakes": []}')
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "regions: hub" in output
    assert boxes(root) == {"hub": (100, 0, 200, 100)}


def test_who_does_not_know_the_secret_or_comes_from_another_site_gets_nothing() -> None:
    saved: list[object] = []
    with RegionPage(CANVAS, saved.append) as page:
        for address, host in (
            (f"http://127.0.0.1:{page.port}/", None),
            (page.address[:-5] + "AAAA/", None),
            (page.address, "evil.example"),
        ):
            assert ask(address, "canvas.json", host=host)[0] == 404
            assert ask(address, "save", {"regions": []}, host=host)[0] == 404
        assert ask(page.address, "canvas.json", host="localhost:9000")[0] == 200
        assert ask(page.address, "../../etc/passwd")[0] == 404
    assert saved == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"no json", {"regions": [{"name": "a"}]}, {"regions": [{"name": "a", "box_px": [1, 2, 3]}]},
     {"regions": [{"name": "a", "box_px": [1, 2, 3, "4"]}]}, {"regions": [{"name": 1, "box_px": [1, 2, 3, 4]}]}],
)  # fmt: skip
def test_what_is_no_list_of_regions_is_refused_in_words(body: Any) -> None:
    saved: list[object] = []
    with RegionPage(CANVAS, saved.append) as page:
        status, answer = ask(page.address, "save", body)
    assert status == 400
    assert "load it again" in json.loads(answer)["mistakes"][0]
    assert saved == []


def test_a_page_saves_once_and_tells_why_it_could_not() -> None:
    outcomes = [SettingsError("station.toml", ["the disk is full"]), None]

    def save(_drawn: object) -> None:
        if error := outcomes.pop(0):
            raise error

    with RegionPage(CANVAS, save) as page:
        assert json.loads(ask(page.address, "save", {"regions": []})[1])["mistakes"] == ["the disk is full"]
        assert not page.saved.is_set()
        assert ask(page.address, "save", {"regions": []})[0] == 200
        assert page.saved.wait(10.0)
        assert "saved already" in json.loads(ask(page.address, "save", {"regions": []})[1])["mistakes"][0]


def test_a_port_that_is_taken_is_told() -> None:
    with RegionPage(CANVAS, lambda _drawn: None) as page, pytest.raises(SettingsError, match=f"--port {page.port}"):
        RegionPage(CANVAS, lambda _drawn: None, page.port)
