"""What the pages show: of a station with verdicts, of one that never ran, of one whose log is at fault; in both languages."""

import asyncio
import re
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from inspector.assist.parts import action_for
from inspector.core.attention import Attention
from inspector.core.inspection import Verdict
from inspector.dashboard import questions
from inspector.dashboard.reading import reading
from inspector.dashboard.words import chinese, language_of, translate
from inspector.edge.assistance import AnsweredVerdict, Picture
from inspector.edge.instants import now
from inspector.edge.lock import StationLock, mark_started
from inspector.edge.log import Log, database_path
from inspector.edge.traces import Traces
from inspector.errors import LogError
from inspector.settings import StationSettings
from tests.dashboard.conftest import Browser
from tests.dashboard.kit import fill, judged, some
from tests.station_kit import write_station

PAGES = ["/", "/-/defects", "/-/defects?by=hour", "/-/defects?by=lot&hours=0", "/-/reviews", "/-/reports", "/-/health", "/-/assist"]
FOLDER = Path(questions.__file__).parent


def said(text: str) -> str:
    """Return what a reader sees of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("name", ["s1", "s2"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_answers_with_data_and_without_in_both_languages(browser: Browser, path: str, name: str, language: str) -> None:
    answer = browser.get(path + ("&" if "?" in path else "?") + f"station={name}&lang={language}")
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert ("实时" in answer.text) == (language == "zh")
    assert browser.get("/-/health").text.count(f'<html lang="{language}">') == 1  # it is remembered


def test_no_page_needs_the_internet(browser: Browser) -> None:
    for path in PAGES:
        page = browser.get(path).text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)
        for asset in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page):
            assert browser.get(asset).status_code == 200


def test_a_station_that_never_ran_says_so(browser: Browser) -> None:
    assert "Nothing has been judged yet." in browser.get("/-/defects?station=s2").text
    assert "Nothing waits for a person." in browser.get("/-/reviews?station=s2").text
    assert "never started" in browser.get("/-/health?station=s2").text
    assert browser.get("/s2").status_code == 200


def test_the_defects_are_counted_by_label_hour_and_lot_and_add_up(browser: Browser) -> None:
    for by in ("label", "hour", "lot"):
        rows = browser.get(f"/-/defects?by={by}&format=json").json()
        assert sum(row["count"] for row in rows) == 6
        assert sum(row["fail"] for row in rows) == 3
        assert rows[-1]["cumulative"] == 1.0
        assert list(rows[0]) == [by, "count", "fail", "review", "cumulative"]
    text = browser.get("/-/defects?format=csv").text
    assert text.splitlines()[0] == "label,count,fail,review,cumulative"
    assert "12 judged" in said(browser.get("/-/defects").text)


def test_the_most_doubtful_review_comes_first_and_faults_come_last(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    fault = judged("s1", 99, "review", now(), verdict=Verdict.undecided("camera line: lost", fault=True), predictions=())
    fill(station, tmp_path, [fault], with_pictures=False)
    rows = browser.get("/-/reviews?format=json").json()
    doubts = [row["doubt"] for row in rows if not row["is_fault"]]
    assert doubts == sorted(doubts, reverse=True)
    assert [row["is_fault"] for row in rows] == [0, 0, 0, 1]
    assert questions.doubt('[{"scores": {"a": 0.5, "b": 0.5}}]') == 1.0
    assert questions.doubt('[{"scores": {"a": 1.0}}, {"scores": {"a": 0.75, "b": 0.25}}]') == 0.5


def test_why_shows_picture_posterior_reports_timings_and_model(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    row = next(row for row in browser.get("/-/reviews?format=json").json() if row["seq"] == 4)
    page = browser.get(f"/-/why/s1/{row['inspection_id']}")
    text = said(page.text)
    for word in ("REVIEW scale pit", "tiny@abc", "QC-1 deleted", "P-4", "preprocess", "4.5", "scale crack"):
        assert word in text
    assert f'href="/-/picture/s1/{row["inspection_id"]}/picture"' in page.text
    assert page.text.count('<g class="review"><rect x="20" y="30" width="60" height="40"/>') == 1
    assert browser.get(f"/-/why/s1/{row['inspection_id']}?format=json").json()[0]["label"] == "scale_pit"
    assert browser.get("/-/why/s1/00000000-0000-0000-0000-000000000000").status_code == 404


def test_a_traced_verdict_shows_what_each_report_weighed(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    row = browser.get("/-/reviews?format=json").json()[0]
    with Log(database_path(station, tmp_path), "s1", read_only=True) as log:
        logged = log.get(row["inspection_id"])
    assert logged is not None
    shares = {"picture": 0.5, "reports": 0.125, "words": 0.375}
    pulls = {"picture": 2.0, "reports": -0.25, "words": 1.0}
    one = Attention(
        logged.inspection_id,
        "frame",
        "tiny@abc",
        logged.captured_at,
        "screw",
        "scale_pit",
        shares,
        {"QC-1": 0.125},
        {},
        pulls,
        {"QC-1": -0.25},
    )
    assert "12.5 %" not in browser.get(f"/-/why/s1/{row['inspection_id']}").text
    with Traces(database_path(station, tmp_path), "s1") as traces:
        traces.write([one])
    page = browser.get(f"/-/why/s1/{row['inspection_id']}").text
    assert "12.5 %" in page
    assert "-0.250" in page


def test_a_stored_trace_is_shown_and_may_do_nothing(browser: Browser, tmp_path: Path) -> None:
    name = browser.get("/-/reviews?format=json").json()[0]["inspection_id"]
    assert browser.get(f"/-/trace/s1/{name}").status_code == 404
    folder = tmp_path / "var" / "s1" / "trace"
    folder.mkdir(parents=True)
    (folder / f"{name}.html").write_text("<h1>trace</h1>")
    assert f"/-/trace/s1/{name}" in browser.get(f"/-/why/s1/{name}").text
    assert browser.get(f"/-/trace/s1/{name}").headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_labels_have_the_names_that_the_settings_give_them(tmp_path: Path, station: StationSettings, browser: Browser) -> None:
    from inspector.dashboard.serving import build_site  # noqa: PLC0415 - beside its use

    product = 'labels = ["good", "scale", "scale_pit", "scale_crack"]\ngood = "good"\n[products.screw.display]\n'
    product += 'scale = {en = "Scale!", zh = "氧化皮"}'
    named = Browser(build_site([write_station(tmp_path, "s1", products_screw=product)], tmp_path, None))
    assert "Scale!" in named.get("/-/defects").text
    assert "氧化皮" in named.get("/-/defects?lang=zh").text


def test_health_tells_faults_latency_and_events(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    path = database_path(station, tmp_path)
    lock = StationLock(path)
    lock.acquire()
    mark_started(path, 0)
    with Log(path, "s1") as log:
        for kind, detail in (("started", "x"), ("camera-lost", "line: no frame for 2 s"), ("broker-lost", "connection refused")):
            log.event(kind, detail)
    text = said(browser.get("/-/health").text)
    lock.release()
    assert "degraded" in text
    assert "Camera line lost" in text.replace("  ", " ")
    assert text.count("broker-lost") == 2
    stages = {row["stage"]: row for row in browser.get("/-/health?format=json").json()}
    assert stages["from capture to verdict"]["verdicts"] == 12
    assert 80 <= stages["from capture to verdict"]["p50_ms"] <= 86


def test_a_damaged_log_is_told_on_the_page(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    database_path(station, tmp_path).write_bytes(b"this is no database" * 400)
    answer = browser.get("/-/reviews")
    assert answer.status_code == 503
    assert "The log cannot be read" in answer.text
    assert "Traceback" not in answer.text


def test_a_log_that_is_set_aside_and_begun_anew_is_read_at_once(browser: Browser, station: StationSettings, tmp_path: Path) -> None:
    assert "12 judged" in said(browser.get("/-/defects").text)
    path = database_path(station, tmp_path)
    path.rename(path.with_suffix(".damaged"))
    fill(station, tmp_path, some(station, 3))
    assert "3 judged" in said(browser.get("/-/defects").text)


def test_the_log_of_a_stopped_station_is_read_by_a_user_who_may_not_write_beside_it(station: StationSettings, tmp_path: Path) -> None:
    import os  # noqa: PLC0415 - beside its use

    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = database_path(station, tmp_path).parent
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with reading(database_path(station, tmp_path)) as log:
            assert questions.last_seq(log, "s1") == 12
    finally:
        folder.chmod(0o755)


def test_no_question_of_the_dashboard_can_write(station: StationSettings, tmp_path: Path) -> None:
    with reading(database_path(station, tmp_path)) as log, pytest.raises(sqlite3.OperationalError, match="readonly"):
        log.execute("DELETE FROM inspections")


def advice() -> set[str]:
    """Return what the assistant advises in fixed words; the page has them in Chinese."""
    verdicts = [
        AnsweredVerdict(disposition="pass", evaluation=evaluation, label=None, display=None, severity=severity, reason="", settled=None)
        for evaluation in get_args(AnsweredVerdict.model_fields["evaluation"].annotation)
        for severity in (None, "critical")
    ]
    pictures: tuple[Picture, ...] = ("none", "file")
    acts = {action_for(verdict, age_s, picture) for verdict in verdicts for age_s in (1.0, 1e4) for picture in pictures}
    return acts | {"None.", "Confirm it on the screen if it is meant.", "Use the stop button at the line."}


def test_every_word_of_the_pages_has_a_translation_and_every_translation_a_use() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*FOLDER.glob("templates/*.html"), *FOLDER.glob("*.py")] if path.stem != "words"]
    asked = {word for text in texts for word in re.findall(r"""\bt\(\s*["']([^"'{}]+|[^"']*\{\w+\}[^"']*)["'][,)]""", text)}
    assert asked - chinese().keys() == set()
    everything = "\n".join([*texts, *advice(), "inspections yield with_label open_reviews"])
    assert advice() - chinese().keys() == set()
    unused = {word for word in chinese() if word not in everything and not word.startswith("by ") and word.lower() not in everything}
    assert unused == set()


def test_the_language_is_the_one_asked_for_then_the_one_of_last_time_then_the_browsers() -> None:
    assert language_of("zh", "en", "en") == "zh"
    assert language_of(None, "zh", "en") == "zh"
    assert language_of("xx", None, "zh-CN,zh;q=0.9") == "zh"
    assert language_of(None, None, "de") == "en"
    assert translate("Live", "zh") == "实时"
    assert translate("never heard", "zh") == "never heard"


def test_hours_come_in_their_order_and_labels_by_their_number(tmp_path: Path, site: Any) -> None:
    settings = site.stations["s2"].settings
    rows = [judged("s2", n, "fail" if n % 4 else "review", now() - timedelta(hours=n % 3, seconds=n)) for n in range(1, 20)]
    path = fill(settings, tmp_path, sorted(rows, key=lambda row: row.inspected_at), with_pictures=False)
    with reading(path) as log:
        hours = questions.pareto(log, "s2", "hour", now() - timedelta(days=1))
        labels = questions.pareto(log, "s2", "label", now() - timedelta(days=1))
    assert [bar.name for bar in hours] == sorted(str(bar.name) for bar in hours)
    assert [(bar.name, bar.count) for bar in labels] == [("scale", 15), ("scale_pit", 4)]
    assert [bar.cumulative for bar in labels] == [pytest.approx(15 / 19), 1.0]


def test_a_question_that_takes_too_long_is_broken_off_with_a_word(site: Any, station: StationSettings) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(LogError, match="broken off; ask for a shorter time"):
        asyncio.run(site.ask(site.stations["s1"], lambda log: log.execute(endless).fetchone()))
