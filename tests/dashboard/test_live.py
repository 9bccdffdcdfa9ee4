"""The live view: what a tile says of each state, and that a screen hears of a verdict by itself."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.dashboard import questions
from inspector.dashboard.live import Glance, Watch, as_event, tile
from inspector.dashboard.pages import new_watches
from inspector.edge.instants import now
from inspector.edge.lock import StationLock, mark_started
from inspector.edge.log import Log, database_path
from inspector.settings import StationSettings
from tests.dashboard.kit import fill, judged

STORY = [("started", "x"), ("camera-lost", "line: no frame"), ("broker-lost", "refused"), ("camera-back", "line: x"), ("broker-back", "")]


def seen(site: Any, name: str, language: Any = "en") -> dict[str, Any]:
    watch = Watch(site, site.stations[name])
    return tile(watch.station, asyncio.run(watch.look()), language).model_dump()


def test_a_tile_shows_the_newest_verdict_with_picture_boxes_and_counters(site: Any) -> None:
    found = seen(site, "s1")
    assert (found["seq"], found["disposition"], found["verdict_text"], found["label"]) == (12, "review", "REVIEW", "scale pit")
    assert found["counts"] == {"pass": 6, "fail": 3, "review": 3}
    assert found["picture_text"] == "picture of this part"
    assert found["picture"].endswith("/picture")
    assert found["boxes"] == [{"x": 20, "y": 30, "width": 60, "height": 40, "label": "scale pit", "disposition": "review"}]
    assert 0 <= found["age_s"] < 60
    assert seen(site, "s1", "zh")["verdict_text"] == "待复判"


def test_a_part_that_passed_shows_the_last_kept_picture_and_says_that_it_is_another_ones(
    site: Any, station: StationSettings, tmp_path: Path
) -> None:
    fill(station, tmp_path, [judged("s1", 50, "pass", now())])
    found = seen(site, "s1")
    assert (found["verdict_text"], found["picture_text"]) == ("PASS", "last kept picture")


def test_a_station_without_verdicts_says_that_there_is_no_data_yet(site: Any) -> None:
    found = seen(site, "s2")
    assert (found["disposition"], found["verdict_text"], found["age_s"], found["picture"]) == (None, "no data yet", None, None)
    assert found["faults"] == ["The log begins with the first start of the daemon."]


def test_a_log_that_cannot_be_read_is_not_called_one_without_data(site: Any) -> None:
    found = tile(site.stations["s1"], Glance(trouble="the disk is gone"), "en")
    assert (found.state, found.verdict_text, found.faults) == ("unreadable", "not known", ["the disk is gone"])


def test_a_picture_is_looked_for_among_the_newest_ten_thousand_verdicts_alone(station: StationSettings, tmp_path: Path) -> None:
    path = database_path(station, tmp_path)
    with sqlite3.connect(path) as connection:
        assert questions.newest_with_picture(connection, "s1") is not None
        query = "SELECT * FROM inspections WHERE station = 's1' AND seq > 1 AND image_path IS NOT NULL ORDER BY seq DESC LIMIT 1"
        assert "seq>?" in connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchone()[3]
        connection.execute("UPDATE sequences SET last_seq = 20000")
        assert questions.newest_with_picture(connection, "s1") is None
    connection.close()


def test_a_lost_camera_and_a_lost_broker_are_told_in_words_and_their_end_too(site: Any, station: StationSettings, tmp_path: Path) -> None:
    path = database_path(station, tmp_path)
    lock = StationLock(path)
    lock.acquire()
    mark_started(path, 0)
    watch = Watch(site, site.stations["s1"])

    async def states() -> list[tuple[str, list[str]]]:
        found = []
        for kind, detail in STORY:
            with Log(path, "s1") as log:
                log.event(kind, detail)
            watch._looked_s = float("-inf")
            shown = tile(watch.station, await watch.look(), "en")
            assert shown.is_past == (kind in {"camera-lost", "broker-lost"})
            found.append((shown.state, [fault.partition(":")[0] for fault in shown.faults]))
        lock.release()
        watch._looked_s = float("-inf")
        found.append((tile(watch.station, await watch.look(), "en").state, []))
        return found

    assert asyncio.run(states()) == [
        ("running", []),
        ("degraded", ["Camera lost"]),
        ("degraded", ["Camera lost", "Broker down"]),
        ("running", ["Broker down"]),
        ("running", []),
        ("stopped", []),
    ]


def test_a_log_that_cannot_be_read_is_told_on_the_tile(site: Any, station: StationSettings, tmp_path: Path) -> None:
    database_path(station, tmp_path).write_bytes(b"this is no database" * 400)
    found = seen(site, "s1")
    assert found["state"] == "unreadable"
    assert "inspector log salvage" in found["faults"][0]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for comes from another thread
        await asyncio.sleep(0.01)


def test_a_screen_hears_of_a_verdict_by_itself(site: Any, station: StationSettings, tmp_path: Path) -> None:
    from inspector.dashboard.pages import stream  # noqa: PLC0415 - beside its use

    site.watches = new_watches(site)
    heard: list[dict[str, Any]] = []

    async def watching() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, str]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message.get("body"):
                heard.append(json.loads(message["body"].removeprefix(b"data: "))[0])

        from datasette.utils.asgi import Request  # noqa: PLC0415 - beside its use

        request = Request.fake("/-/events?lang=en")
        screen = asyncio.ensure_future(stream(request, site, receive, send))
        await until(lambda: bool(heard))
        await asyncio.to_thread(fill, station, tmp_path, [judged("s1", 60, "fail", now())])
        await until(lambda: bool(heard[-1]["seq"] == 13))
        left.set()
        await screen

    asyncio.run(asyncio.wait_for(watching(), 60))
    assert [tile["seq"] for tile in heard][-1] == 13
    assert [tile["disposition"] for tile in heard][-1] == "fail"


def test_an_event_is_one_line_whatever_the_words_hold(site: Any) -> None:
    watch = Watch(site, site.stations["s1"])
    glance = asyncio.run(watch.look())
    assert glance.newest is not None
    glance.newest["reason"] = "one\n\ndata: two\r\n"
    event = as_event([tile(watch.station, glance, "en")])
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: "))[0]["reason"] == "one\n\ndata: two\r\n"
