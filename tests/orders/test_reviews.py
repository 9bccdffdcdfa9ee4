"""Reviews reach log, reports and MQTT through the running daemon, once each; the verdict stays as it was."""

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inspector.core.review import Review
from inspector.daemon import run
from inspector.edge.instants import now
from inspector.edge.json_schemas import schema_files
from inspector.edge.log import Log, database_path
from inspector.edge.review_slips import drop, slip_folder
from inspector.settings import StationSettings
from tests.conftest import Tiny
from tests.edge.conftest import Mosquitto, Subscriber, wait_until
from tests.orders.test_station import broker, heard  # noqa: F401 - fixtures
from tests.station_kit import install_tiny, write_pictures, write_station

WATCH = 'kind = "folder"\npath = "frames"\nwatch = true'


@dataclass
class Running:
    """A station at work."""

    settings: StationSettings
    log: Path

    def rows(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.log)
        connection.row_factory = sqlite3.Row
        found = connection.execute(query).fetchall()
        connection.close()
        return found

    def review(self, **changes: Any) -> Review:
        row = self.rows("SELECT inspection_id FROM inspections ORDER BY seq LIMIT 1")[0]
        fields = {
            "review_id": str(uuid.uuid4()),
            "station": self.settings.name,
            "inspection_id": row["inspection_id"],
            "reviewer": "mei",
            "reviewed_at": now(),
            "label": "scale_pit",
            "note": "pit near the edge",
            "box_px": (1, 2, 30, 40),
        }
        return Review(**(fields | changes))

    def drop(self, review: Review) -> Review:
        drop(slip_folder(self.log, self.settings.name), review)
        return review

    def kinds(self) -> list[str]:
        with Log(self.log, self.settings.name, read_only=True) as log:
            return [event.kind for event in log.events()]


@pytest.fixture
def station(tmp_path: Path, tiny: Tiny, broker: Mosquitto, heard: Subscriber, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:  # noqa: F811
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    install_tiny(tmp_path, tiny.folder)
    settings = write_station(tmp_path, cameras_line=WATCH, mqtt=f"port = {broker.port}", log='keep_images = "all"')
    write_pictures(settings.folder / "frames", 2)
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, tmp_path, stop, lambda _: None))
    thread.start()
    wait_until(lambda: len(heard.bodies("/result")) == 2, 40)
    yield Running(settings, database_path(settings, tmp_path))
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_a_review_is_logged_published_reported_and_kept_to_learn_from_and_changes_no_verdict(
    station: Running,
    heard: Subscriber,  # noqa: F811
) -> None:
    import json  # noqa: PLC0415 - beside its use

    import jsonschema  # noqa: PLC0415 - as above

    before = station.rows("SELECT * FROM inspections ORDER BY seq")
    review = station.drop(station.review())
    wait_until(lambda: len(heard.bodies("/review")) == 1)
    (body,) = heard.bodies("/review")
    jsonschema.validate(body, json.loads(schema_files()["review.schema.json"]))
    assert (body["inspection_id"], body["part_id"], body["seq"]) == (review.inspection_id, before[0]["part_id"], 1)
    assert (body["label"], body["disposition"], body["evaluation"], body["reviewer"]) == ("scale_pit", "fail", "NotOK", "mei")
    assert body["agrees"] == (before[0]["label"] == "scale_pit")
    assert body["box_px"] == [1, 2, 30, 40]
    published = station.rows("SELECT * FROM inspections ORDER BY seq")
    assert [tuple(row) for row in published if row["published_at"]] == [tuple(row) for row in published]
    assert [(row["disposition"], row["label"], row["posterior"]) for row in published] == [
        (row["disposition"], row["label"], row["posterior"]) for row in before
    ]
    (row,) = station.rows("SELECT * FROM reviewed")
    assert (row["reviewer"], row["label"], row["judged_label"]) == ("mei", "scale_pit", before[0]["label"])
    assert (station.log.parent / row["picture_path"]).read_bytes() == (station.log.parent / before[0]["image_path"]).read_bytes()
    (report,) = station.rows("SELECT * FROM reports")
    assert (report["report_id"], report["text"], report["label"]) == (body["report_id"], "pit near the edge", "scale_pit")
    assert len(station.rows("SELECT * FROM reviews")) == 1
    assert not station.rows("SELECT * FROM open_reviews WHERE seq = 1")


def test_a_review_that_comes_again_is_one_and_a_second_opinion_stands_beside_the_first(station: Running, heard: Subscriber) -> None:  # noqa: F811
    station.drop(station.drop(station.review()))
    wait_until(lambda: len(heard.bodies("/review")) == 1)
    station.drop(station.review(reviewer="li", label="good", note=""))
    wait_until(lambda: len(heard.bodies("/review")) == 2)
    assert [body["reviewer"] for body in heard.bodies("/review")] == ["mei", "li"]
    assert len(station.rows("SELECT * FROM reviewed")) == 2
    (row,) = station.rows("SELECT * FROM reviews")
    assert (row["reviewer"], row["disposition"]) == ("li", "pass")


def test_reviews_that_cannot_be_are_refused_with_a_reason_and_the_station_goes_on(station: Running, heard: Subscriber) -> None:  # noqa: F811
    station.drop(station.review(inspection_id=str(uuid.uuid4())))
    station.drop(station.review(label="unheard_of"))
    station.drop(station.review(reviewed_at=now() + timedelta(days=1)))
    station.drop(station.review(station="s2"))
    (slip_folder(station.log, "s1") / f"{uuid.uuid4()}.json").write_text("{")
    wait_until(lambda: station.kinds().count("review-refused") == 5)
    station.drop(station.review())
    wait_until(lambda: len(heard.bodies("/review")) == 1)
    assert station.kinds().count("review-refused") == 5
