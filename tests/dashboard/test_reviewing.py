"""Reviewing in the browser: who may sign, what is taken, what it becomes, what is learnt of it."""

import sqlite3
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inspector.core.review import Review
from inspector.dashboard import learning
from inspector.dashboard.learning import Agreement, agreement, drift, gained
from inspector.dashboard.reading import reading
from inspector.edge.instants import now
from inspector.edge.log import Log, database_path
from inspector.edge.review_slips import read_slip, slip_folder, waiting
from inspector.edge.settling import Settled
from inspector.settings import StationSettings
from tests.dashboard.conftest import Browser
from tests.dashboard.kit import fill, judged


def first(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = browser.get("/-/reviews?format=json").json()[0]
    return found


def folder(settings: StationSettings, root: Path) -> Path:
    return slip_folder(database_path(settings, root), settings.name)


@pytest.fixture
def reviewer(site: Any) -> Browser:
    browser = Browser(site)
    browser.log_in("mei")
    return browser


def test_a_signed_review_is_a_slip_leaves_the_queue_and_waits_for_the_station(
    reviewer: Browser, station: StationSettings, tmp_path: Path
) -> None:
    row = first(reviewer)
    page = reviewer.get(f"/-/why/s1/{row['inspection_id']}").text
    assert '<option value="scale_pit" selected>' in page
    answer = reviewer.post(
        f"/-/review/s1/{row['inspection_id']}", csrftoken=reviewer.token, label="scale", note="  left   flank <b>", box="1,2,30,40"
    )
    assert answer.status_code == 303
    (name,) = waiting(folder(station, tmp_path))
    slip = read_slip(folder(station, tmp_path) / name)
    assert (slip.reviewer, slip.label, slip.note, slip.box_px) == ("mei", "scale", "left flank <b>", (1, 2, 30, 40))
    assert "Signed: " in reviewer.get(answer.headers["location"]).text
    assert row["inspection_id"] not in [left["inspection_id"] for left in reviewer.get("/-/reviews?format=json").json()]
    page = reviewer.get(f"/-/why/s1/{row['inspection_id']}").text
    assert "waits for the station" in page
    assert "left flank &lt;b&gt;" in page
    assert '<form class="review"' not in page


def test_a_slip_is_cleared_away_once_its_review_is_in_the_log(reviewer: Browser, station: StationSettings, tmp_path: Path) -> None:
    row = first(reviewer)
    reviewer.post(f"/-/review/s1/{row['inspection_id']}", csrftoken=reviewer.token, label="good")
    slip = read_slip(folder(station, tmp_path) / waiting(folder(station, tmp_path))[0])
    settle(station, tmp_path, slip)
    page = reviewer.get(f"/-/why/s1/{row['inspection_id']}").text
    assert "mei · " in page
    assert waiting(folder(station, tmp_path)) == []
    assert "good" in reviewer.get("/-/learning?format=csv").text
    assert "mei" in reviewer.get("/-/learning?lang=zh").text


@pytest.mark.parametrize("name", ["guest", None])
def test_who_may_not_review_signs_nothing(site: Any, station: StationSettings, tmp_path: Path, name: str | None) -> None:
    browser, owner = Browser(site), Browser(site)
    owner.log_in("mei")
    row = first(owner)
    browser.get("/-/login")
    if name is not None:
        browser.log_in(name)
        assert '<form class="review"' not in browser.get(f"/-/why/s1/{row['inspection_id']}").text
    answer = browser.post(f"/-/review/s1/{row['inspection_id']}", csrftoken=browser.token, label="good")
    assert answer.status_code == 403
    assert waiting(folder(station, tmp_path)) == []


def test_a_dashboard_without_users_signs_nothing(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    row = first(browser)
    assert browser.post(f"/-/review/s1/{row['inspection_id']}", label="good").status_code == 403
    assert waiting(folder(station, tmp_path)) == []


def test_a_forged_form_is_refused(reviewer: Browser, station: StationSettings, tmp_path: Path) -> None:
    path = f"/-/review/s1/{first(reviewer)['inspection_id']}"
    assert reviewer.post(path, label="good").status_code == 403
    assert reviewer.post(path, label="good", csrftoken="forged").status_code == 403
    evil = {"authorization": "Bearer x", "content-type": "application/json", "origin": "https://evil.example"}
    assert reviewer.ask("POST", path, content=b'{"label": "good"}', headers=evil).status_code == 403
    for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        form = {"content-type": "application/x-www-form-urlencoded", "content-length": "10"}
        assert reviewer.ask(method, path, content=b"label=good", headers=form).status_code == 405
    assert waiting(folder(station, tmp_path)) == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"label": "unheard_of"}, 400),
        ({}, 400),
        ({"label": "good", "note": "x" * 501}, 400),
        ({"label": "good", "box": "1,2,3"}, 400),
        ({"label": "good", "box": "0,0,999,999"}, 400),
        ({"label": "good", "box": "1,1,-5,5"}, 400),
        ({"label": "good", "note": "x" * 70_000}, 413),
    ],
)
def test_a_form_that_makes_no_sense_is_told_so(
    reviewer: Browser, station: StationSettings, tmp_path: Path, form: dict[str, str], status: int
) -> None:
    path = f"/-/review/s1/{first(reviewer)['inspection_id']}"
    assert reviewer.post(path, csrftoken=reviewer.token, **form).status_code == status
    assert waiting(folder(station, tmp_path)) == []


def test_a_folder_that_cannot_be_written_is_told_on_the_page(reviewer: Browser, station: StationSettings, tmp_path: Path) -> None:
    folder(station, tmp_path).parent.write_text("in the way")
    answer = reviewer.post(f"/-/review/s1/{first(reviewer)['inspection_id']}", csrftoken=reviewer.token, label="good")
    assert answer.status_code == 503
    assert "docs/dashboard.md" in answer.text


def settle(settings: StationSettings, root: Path, review: Review, picture: str | None = "reviewed/s1/x.jpg") -> None:
    with Log(database_path(settings, root), settings.name) as log:
        inspection = log.get(review.inspection_id)
        assert inspection is not None
        log.settle(Settled(review, inspection, settings.products["screw"].label_set(), picture))


def opinion(inspection_id: str, label: str | None, minutes: int = 0) -> Review:
    return Review(str(uuid.uuid4()), "s1", inspection_id, "mei", now() + timedelta(minutes=minutes), label)


def test_agreement_counts_the_last_opinion_on_each_part_and_says_when_training_pays(station: StationSettings, tmp_path: Path) -> None:
    path = database_path(station, tmp_path)
    with Log(path, "s1", read_only=True) as log:
        ids = [(row.inspection_id, row.label) for row in log.find()]
    for name, label in ids[:6]:
        settle(station, tmp_path, opinion(name, label))
    settle(station, tmp_path, opinion(ids[0][0], "scale_crack", 1))
    settle(station, tmp_path, opinion(ids[7][0], None))
    with reading(path) as connection:
        (found,) = agreement(connection, "s1")
    assert (found.reviews, found.agreed, found.corrections, found.pictures) == (6, 5, 1, 6)
    assert found.changed == [("good", "scale_crack", 1)]
    assert not found.would_pay
    assert Agreement("m", 100, 95, 50, []).would_pay
    assert Agreement("m", 30, 10, 25, []).would_pay
    low, high = Agreement("m", 20, 20, 0, []).interval
    assert (round(low, 3), round(high, 3)) == (0.839, 1.0)


def test_a_changed_mix_of_labels_is_told_and_chance_is_not(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "RECENT", 100)
    monkeypatch.setattr(learning, "BEFORE", 1000)
    settings = site.stations["s2"].settings
    begin = now() - timedelta(hours=1)
    even = [judged("s2", n, "fail" if n % 10 == 0 else "pass", begin + timedelta(seconds=n)) for n in range(1, 221)]
    path = fill(settings, tmp_path, even, with_pictures=False)
    with reading(path) as connection:
        found = drift(connection, "s2")
    assert found is not None
    assert (found.recent, found.before, found.is_drift) == (100, 120, False)
    assert found.distance == pytest.approx(0.0, abs=0.01)
    odd = [judged("s2", n, "fail" if n % 3 == 0 else "pass", begin + timedelta(seconds=n), share=0.6) for n in range(221, 321)]
    fill(settings, tmp_path, odd, with_pictures=False)
    with reading(path) as connection:
        found = drift(connection, "s2")
    assert found is not None
    assert found.is_drift
    assert found.confidence == pytest.approx((0.9, 0.6))


def test_what_the_last_training_gained_stands_beside_what_was_before(station: StationSettings, tmp_path: Path) -> None:
    assert gained(tmp_path, station) is None
    for name, accuracy in (("tiny", 0.9), ("older", 0.8)):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "training.json").write_text(f'{{"evaluation": {{"accuracy": {accuracy}, "macro_f1": null}}}}')
    assert gained(tmp_path, station) == {"accuracy": (0.9, None)}
    (station.folder / "models.toml").write_text('checkpoints = ["older", "tiny"]\n')
    assert gained(tmp_path, station) == {"accuracy": (0.9, 0.8)}


def test_a_log_of_an_older_version_is_told_with_the_cure(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    connection = sqlite3.connect(database_path(station, tmp_path))
    connection.executescript("DROP TABLE reviewed; DELETE FROM migrations WHERE number > 6")
    connection.close()
    answer = browser.get("/-/reviews")
    assert answer.status_code == 503
    assert "start the daemon once" in answer.text
