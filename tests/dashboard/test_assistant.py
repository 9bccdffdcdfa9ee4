"""The assistant in the dashboard: what may be asked, what is answered, and that nothing acts before a person has confirmed it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inspector.cli.dashboard import new_help_desk
from inspector.core.report import Report
from inspector.dashboard.serving import build_site
from inspector.dashboard.uploads import LARGEST_BYTES
from inspector.dashboard.users import Users
from inspector.edge.commands.payload import Outcome, ReplyPayload
from inspector.edge.commands.sending import Account
from inspector.edge.instants import now
from inspector.edge.json_schemas import schema_files
from inspector.edge.log import database_path
from inspector.edge.review_slips import read_slip, slip_folder, waiting
from inspector.errors import PublishError
from inspector.settings import StationSettings
from tests.assist.assist_kit import speak
from tests.conftest import Tiny
from tests.dashboard.conftest import Browser
from tests.dashboard.kit import fill, some, write_report
from tests.dashboard.test_reviewing import first
from tests.station_kit import install_tiny, write_station


class Line:
    """Stands in for the stations at the other end of the broker: keeps what was sent, answers what it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, Any], str]] = []
        self.answer: ReplyPayload | Exception | None = None

    def send(self, settings: StationSettings, verb: str, payload: Mapping[str, Any], who: str) -> ReplyPayload | None:
        self.sent.append((settings.name, verb, dict(payload), who))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def lead(tmp_path: Path, users: Users, line: Line, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Return the browser of somebody who may send orders to a station that obeys some of them."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    settings = write_station(tmp_path, commands='allow = ["pause", "lot"]')
    fill(settings, tmp_path, some(settings))
    desk = new_help_desk(Account())
    desk.send = line.send
    browser = Browser(build_site([settings], tmp_path, users, desk))
    browser.log_in("lead")
    return browser


def ask(browser: Browser, text: str, sound: bytes | None = None, **fields: str) -> Any:
    """Ask as the panel does."""
    data = {"csrftoken": browser.token, "station": "s1", "text": text, **fields}
    return browser.ask("POST", "/-/assist", data=data, files={"sound": ("question.wav", sound or b"", "audio/wav")})


def reply(outcome: Outcome, reason: str = "") -> ReplyPayload:
    return ReplyPayload(station="s1", verb="pause", outcome=outcome, reason=reason, replied_at=now())


def order_in(page: str) -> str:
    return page.partition('href="/-/order/')[2].partition('"')[0]


@pytest.fixture
def mei(site: Any) -> Browser:
    browser = Browser(site)
    browser.log_in("mei")
    return browser


def test_a_typed_question_is_answered_with_part_verdict_cause_and_links_to_the_reports(
    mei: Browser, station: StationSettings, tmp_path: Path
) -> None:
    write_report(database_path(station, tmp_path), Report("QC-7", now(), "screw", "nozzle <b>worn</b>", lot="L0", label="scale"))
    page = ask(mei, "show the last scale").text
    assert "nozzle &lt;b&gt;worn" in page
    assert 'href="/-/reports?station=s1&amp;q=QC-7"' in page
    assert "FAIL" in page
    assert "Take the part out." in page
    assert "was not looked at" in page
    assert (
        "取出该零件。"
        in mei.ask("POST", "/-/assist?lang=zh", data={"csrftoken": mei.token, "station": "s1", "text": "show the last scale"}).text
    )


def test_an_answer_as_json_fits_the_schema_and_reaches_no_model(mei: Browser, tmp_path: Path) -> None:
    assert not (tmp_path / "models").exists()
    data = {"csrftoken": mei.token, "station": "s1", "text": "why was this part rejected"}
    answer = mei.ask("POST", "/-/assist", data=data, headers={"accept": "application/json"}).json()
    jsonschema.Draft202012Validator(json.loads(schema_files()["assist.schema.json"])).validate(answer)
    assert (answer["kind"], answer["picture"], answer["heard_by"]) == ("why", "none", "text")


def test_this_part_is_the_one_whose_page_is_open(mei: Browser) -> None:
    row = first(mei)
    assert f'name="part" value="{row["inspection_id"]}"' in mei.get(f"/-/why/s1/{row['inspection_id']}").text
    assert row["part_id"] in ask(mei, "why was this part rejected", part=row["inspection_id"]).text


def test_the_picture_of_a_part_is_judged_anew_if_that_is_asked_and_lets_nothing_pass(mei: Browser, tiny: Tiny, tmp_path: Path) -> None:
    row = first(mei)
    assert "was not kept" in ask(mei, "", picture="1", part="00000000-0000-5000-8000-000000000000").text
    folder = mei.site.stations["s1"].log.parent
    before = sorted(path.name for path in folder.iterdir())
    install_tiny(tmp_path, tiny.folder)
    page = ask(mei, "", picture="1", part=row["inspection_id"]).text
    assert "was judged anew for this answer" in page
    assert "lets nothing pass" in page or "Take the part out" in page or "Look at the part" in page
    assert before == sorted(
        path.name for path in database_path(mei.site.stations["s1"].settings, tmp_path).parent.iterdir()
    )  # nothing was written


def test_a_spoken_question_is_heard_and_one_that_is_none_is_said_to_be_none(mei: Browser, tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install 'qc-inspector[assist]'")
    page = ask(mei, "", speak("how many open reviews", tmp_path / "a.wav").read_bytes()).text
    assert "“how many open reviews”" in page
    page = ask(mei, "", speak("please bring me a cup of coffee", tmp_path / "b.wav").read_bytes()).text
    assert "Not understood: nothing was looked up, nothing is done." in page
    assert "nothing that could be understood" in page


@pytest.mark.parametrize("sound", [b"MZ\x90\0 no sound", b"RIFF\x24\0\0\0WAVEfmt ", b"\xff\xd8\xff\xe0 a picture", b"\r\n--x\r\n\0"])
def test_an_upload_that_is_no_recording_is_refused_with_what_it_should_be(mei: Browser, sound: bytes) -> None:
    answer = ask(mei, "", sound)
    assert answer.status_code == 400
    assert "the recording: is no WAV file with PCM samples" in answer.text


def test_an_upload_that_is_too_large_or_not_for_this_page_is_refused_before_it_is_read(mei: Browser) -> None:
    answer = ask(mei, "", bytes(LARGEST_BYTES))
    assert (answer.status_code, "at most 6 MB" in answer.text) == (413, True)
    row = first(mei)
    data = {"csrftoken": mei.token, "label": "good"}
    answer = mei.ask("POST", f"/-/review/s1/{row['inspection_id']}", data=data, files={"sound": ("a.wav", b"x", "audio/wav")})
    assert answer.status_code == 415
    headers = {"content-type": "multipart/form-data", "content-length": "5"}
    assert mei.ask("POST", "/-/assist", content=b"-----", headers=headers).status_code == 415


def test_what_is_no_question_is_told(mei: Browser, tmp_path: Path) -> None:
    for text, sound, words in (
        ("", None, "Type or say a question"),
        ("x" * 301, None, "at most 300 letters"),
        ("how is the station", b"RIFF", "not both"),
    ):
        answer = ask(mei, text, sound)
        assert (answer.status_code, words in answer.text) == (400, True)
    two = [("sound", ("a.wav", b"x", "audio/wav")), ("sound", ("b.wav", b"x", "audio/wav"))]
    answer = mei.ask("POST", "/-/assist", data={"csrftoken": mei.token}, files=two)
    assert (answer.status_code, "one recording is expected" in answer.text) == (400, True)
    assert ask(mei, "how is the station", station="../s1").status_code == 404


def test_a_question_without_this_browsers_token_is_not_answered(mei: Browser, browser: Browser) -> None:
    mei.get("/-/assist")
    for token in ("", "forged"):
        assert mei.ask("POST", "/-/assist", data={"csrftoken": token, "text": "how is the station"}).status_code == 403
    assert browser.ask("POST", "/-/assist", data={"text": "how is the station"}).status_code == 403  # no cookie at all
    browser.get("/")
    assert "The station is" in ask(browser, "how is the station").text


def test_html_in_a_question_stays_text(mei: Browser) -> None:
    page = ask(mei, '<script>alert(1)</script>"><img src=x>').text
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_an_order_is_shown_in_words_and_sent_once_and_only_after_it_was_confirmed(lead: Browser, line: Line) -> None:
    page = ask(lead, "pause the station").text
    assert "Nothing has been done." in page
    path = f"/-/order/{order_in(page)}"
    shown = lead.get(path).text
    assert "The station judges no more parts until it is told to resume." in shown
    assert "lead" in shown
    assert "工位停止判定零件" in lead.get(f"{path}?lang=zh").text
    assert line.sent == []
    lead.get("/?lang=en")
    assert lead.ask("POST", path, data={"decision": "confirm", "csrftoken": "forged"}).status_code == 403
    assert lead.ask("GET", f"{path}?decision=confirm").status_code == 200
    assert line.sent == []
    line.answer = reply("done")
    assert "The station has done it." in lead.post(path, csrftoken=lead.token, decision="confirm").text
    assert line.sent == [("s1", "pause", {}, "lead")]
    assert lead.post(path, csrftoken=lead.token, decision="confirm").status_code == 404
    assert len(line.sent) == 1


def test_a_cancelled_order_is_forgotten_and_an_order_is_nobody_elses(lead: Browser, line: Line) -> None:
    path = f"/-/order/{order_in(ask(lead, 'set the lot to L9').text)}"
    assert "counted to lot L9" in lead.get(path).text
    other = Browser(lead.site)
    other.log_in("boss")
    assert other.get(path).status_code == 404
    assert other.post(path, csrftoken=other.token, decision="confirm").status_code == 404
    assert Browser(lead.site).get(path).status_code == 302
    assert "Cancelled. Nothing was done." in lead.post(path, csrftoken=lead.token, decision="cancel").text
    assert lead.post(path, csrftoken=lead.token, decision="confirm").status_code == 404
    assert line.sent == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "nobody can tell whether it was done"),
        (PublishError("broker away"), "It was not done: broker away"),
        (
            ReplyPayload(station="s1", verb="pause", outcome="refused", reason="not allowed <here>", replied_at=now()),
            "not allowed &lt;here&gt;",
        ),
    ],
)
def test_what_became_of_an_order_is_told_as_it_is(lead: Browser, line: Line, answer: Any, words: str) -> None:
    path = f"/-/order/{order_in(ask(lead, 'pause the station').text)}"
    line.answer = answer
    page = lead.post(path, csrftoken=lead.token, decision="confirm").text
    assert words in page
    assert "The station has done it." not in page


def test_orders_that_a_station_or_a_user_may_not_are_not_offered(lead: Browser, mei: Browser, browser: Browser) -> None:
    page = ask(lead, "resume the station").text
    assert ("does not obey this command" in page, order_in(page)) == (True, "")
    page = ask(lead, "mark this part as scale").text  # may send orders, not review
    assert ("right to review" in page, order_in(page)) == (True, "")
    page = ask(mei, "stop the line").text
    assert ("stop button" in page, order_in(page)) == (True, "")
    browser.get("/")
    assert order_in(ask(browser, "mark this part as scale").text) == ""  # nobody has logged in


def test_a_mark_is_signed_as_a_review_after_it_was_confirmed(mei: Browser, station: StationSettings, tmp_path: Path) -> None:
    folder, row = slip_folder(database_path(station, tmp_path), "s1"), first(mei)
    for text in ("mark this part as scale pit", "report scale pit on this part"):
        page = ask(mei, text, part=row["inspection_id"]).text
        shown = mei.get(f"/-/order/{order_in(page)}").text
        assert "A review is signed in your name: scale pit." in shown
        before = waiting(folder)
        assert "Signed: " in mei.post(f"/-/order/{order_in(page)}", csrftoken=mei.token, decision="confirm").text
        (name,) = set(waiting(folder)) - set(before)
        slip = read_slip(folder / name)
        assert (slip.reviewer, slip.label, slip.inspection_id) == ("mei", "scale_pit", row["inspection_id"])


def test_without_an_assistant_there_is_no_panel(station: StationSettings, tmp_path: Path) -> None:
    browser = Browser(build_site([station], tmp_path, None))
    assert 'class="ask"' not in browser.get("/").text
    assert browser.get("/-/assist").status_code == 404
