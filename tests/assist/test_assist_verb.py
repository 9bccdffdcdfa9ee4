"""``inspector assist`` from typed question to answer; the model's folder is not even there unless a picture is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from inspector.assist.dictation import dictated
from inspector.assist.words import Words
from inspector.cli import main
from inspector.edge.assistance import AnsweredPart, AnsweredVerdict, AssistPayload, Confirmation, LikelyCause
from inspector.edge.json_schemas import schema_files
from inspector.edge.log import Log
from inspector.edge.schema import open_database
from inspector.errors import AssistError
from tests.assist.assist_kit import REPORTS, fill, judged, write_station
from tests.conftest import Tiny
from tests.station_kit import install_tiny, write_pictures
from tests.station_kit import write_station as write_tiny_station


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_station(tmp_path)
    fill(
        tmp_path,
        judged(1, "surface_scratch", "fail"),
        judged(2, "slag_inclusion", "review", lot="L8"),
        judged(3, "good", "pass"),
        judged(4, "red_iron", "fail", minutes_ago=120.0),
    )
    return tmp_path


def assist(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "assist", *words], env={"STATE_DIRECTORY": "", "DISPLAY": ""})


def ask(root: Path, text: str, *words: str, station: str = "mill-1") -> Any:
    done = assist(root, station, "--text", text, "--json", *words)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    jsonschema.Draft202012Validator(json.loads(schema_files()["assist.schema.json"])).validate(answer)
    return answer


def store_reports(root: Path) -> None:
    """Store reports as an import does, without their vectors."""
    database = open_database(root / "var/mill-1/inspector.db")
    for line in REPORTS.splitlines()[1:]:
        name, day, product, lot, label, text = line.split(",")
        row = (name, f"{day}T00:00:00.000000Z", product, lot, label, text, f"{day}T00:00:00.000000Z")
        database.conn.execute(
            "INSERT INTO reports (report_id, written_at, product, lot, label, text, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        )
    database.conn.close()


def test_why_is_answered_with_part_verdict_cause_action_confidence_and_transcript(root: Path) -> None:
    store_reports(root)
    answer = ask(root, "Why was this part rejected?", "--part", "SN-1")
    assert answer["transcript"] == "Why was this part rejected?"
    assert (answer["part"]["part_id"], answer["part"]["lot"], answer["verdict"]["disposition"]) == ("SN-1", "L7", "fail")
    assert answer["likely_cause"] == {"text": "guide roller worn on the drive side", "report_ids": ["QC-1", "QC-2"]}
    assert [report["report_id"] for report in answer["reports"]] == ["QC-1", "QC-2"]
    assert answer["suggested_action"] == "Take the part out."
    assert answer["confidence"] == pytest.approx(0.9)
    assert answer["picture"] == "none"
    assert any("found by their label alone" in note for note in answer["notes"])


def test_a_good_part_has_no_cause_and_an_old_verdict_is_not_taken_for_the_part_in_hand(root: Path) -> None:
    store_reports(root)
    answer = ask(root, "why was this part passed")
    assert (answer["part"]["part_id"], answer["likely_cause"], answer["suggested_action"]) == ("SN-3", None, "None: the part may go on.")
    old = ask(root, "show the last red iron")
    assert old["part"]["part_id"] == "SN-4"
    assert any("may not be about the part before you" in note for note in old["notes"])


def test_a_question_that_takes_the_wrong_fate_for_granted_is_told(root: Path) -> None:
    assert "The question says pass, the verdict is fail." in ask(root, "why was this part passed", "--part", "SN-1")["notes"]


def test_a_review_and_a_critical_defect_have_their_own_advice(root: Path) -> None:
    assert ask(root, "show the last review")["suggested_action"] == "Look at the part and decide: the model is not sure."
    fill(root, judged(5, "slag_inclusion", "fail"))
    assert "tell the shift lead now" in ask(root, "show the last defect")["suggested_action"]


def test_what_a_person_has_decided_goes_before_the_verdict(root: Path) -> None:
    database = open_database(root / "var/mill-1/inspector.db")
    query = "INSERT INTO reviews (inspection_id, reviewer, disposition, label) VALUES ('id-2', 'E. Muster', 'fail', 'slag_inclusion')"
    database.conn.execute(query)
    database.conn.close()
    answer = ask(root, "show part SN-2")
    assert answer["verdict"]["settled"] == {"disposition": "fail", "label": "slag_inclusion", "reviewer": "E. Muster"}
    assert answer["suggested_action"] == "Follow what E. Muster has decided: fail."


def test_chinese_names_are_understood_and_answered(root: Path) -> None:
    answer = ask(root, "最近的表面划伤")
    assert (answer["part"]["part_id"], answer["verdict"]["label"], answer["verdict"]["display"]) == ("SN-1", "surface_scratch", "表面划伤")
    assert ask(root, "show the last surface scratch")["verdict"]["display"] == "surface scratch"


def test_figures_are_counted_over_the_time_that_was_asked_for(root: Path) -> None:
    hour = ask(root, "how many surface scratch in the last hour")
    assert hour["figures"] == {"inspections": 3, "pass": 1, "fail": 1, "review": 1, "with_label": 1}
    shift = ask(root, "what is the yield of the last shift")
    assert shift["figures"] == {"inspections": 4, "pass": 1, "fail": 2, "review": 1, "yield": 0.25}
    assert ask(root, "how many open reviews")["figures"] == {"open_reviews": 1}


def test_reports_are_found_by_label_or_by_the_part_in_hand(root: Path) -> None:
    store_reports(root)
    assert {report["report_id"] for report in ask(root, "what was reported about surface scratch")["reports"]} == {"QC-1", "QC-2"}
    assert [report["report_id"] for report in ask(root, "show similar reports", "--part", "SN-2")["reports"]] == ["QC-3"]


@pytest.mark.parametrize(
    ("text", "action", "payload", "allowed"),
    [
        ("mark this part as slag inclusion", "review", {"inspection_id": "id-4", "disposition": "fail", "label": "slag_inclusion"}, True),
        ("mark this part as good", "review", {"inspection_id": "id-4", "disposition": "pass", "label": "good"}, True),
        ("report red iron on this part", "report", {"product": "steel-strip", "lot": "L7", "label": "red_iron", "text": "red iron"}, True),
        ("pause the station", "command", {}, True),
        ("set the lot to L9", "command", {"lot": "L9"}, False),
    ],
)
def test_what_would_act_is_returned_for_confirmation_and_nothing_is_done(
    root: Path, text: str, action: str, payload: dict[str, str], allowed: bool
) -> None:
    log = root / "var/mill-1/inspector.db"
    before = log.read_bytes()
    answer = ask(root, text)
    wanted = answer["needs_confirmation"]
    assert (wanted["action"], wanted["payload"], wanted["is_allowed"]) == (action, payload, allowed)
    assert wanted["topic"] == (f"inspector/v1/site/area/line/mill-1/cmd/{'lot' if payload else 'pause'}" if action == "command" else None)
    assert answer["answer"].startswith("Not done yet.")
    assert log.read_bytes() == before
    with Log(log, "mill-1", read_only=True) as opened:
        assert (opened.events(), opened.waiting().count, opened.recall()) == ([], 0, {})


def test_the_line_is_never_stopped_or_started(root: Path) -> None:
    for text in ("stop the line", "start the line", "停止产线"):
        answer = ask(root, text)
        assert (answer["kind"], answer["needs_confirmation"]) == ("refused", None)
        assert "stop button" in answer["suggested_action"]


def test_the_station_tells_how_it_is(root: Path) -> None:
    answer = ask(root, "how is the station")
    assert answer["answer"].startswith("The station is stopped")
    assert "inspector status mill-1" in answer["suggested_action"]


def test_what_is_not_understood_is_said_not_guessed(root: Path) -> None:
    answer = ask(root, "make it better")
    assert (answer["understood"], answer["kind"], answer["part"], answer["needs_confirmation"]) == (False, "not-understood", None, None)
    assert "why was this part rejected" in answer["suggested_action"]


def test_a_text_question_runs_no_part_of_the_vision_side(root: Path) -> None:
    store_reports(root)
    program = (
        "import sys; from inspector.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "vision = {'inspector.daemon', 'inspector.pipeline', 'inspector.vlm.onnx_predictor', 'inspector.vlm.opening'}\n"
        "loaded = sorted((vision | {'torch', 'transformers', 'pocketsphinx'}) & sys.modules.keys())\n"
        "assert loaded == [], loaded"
    )
    command = ["--root", str(root), "assist", "mill-1", "--text", "why was this part rejected"]
    environment = {**os.environ, "STATE_DIRECTORY": ""}
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "guide roller worn" not in done.stdout  # the newest rejected part is the one of red iron
    assert "Part SN-4 failed" in done.stdout


@pytest.fixture
def seeing(tmp_path: Path, tiny: Tiny) -> tuple[Path, Path]:
    """Return a root with a model, and a picture."""
    install_tiny(tmp_path, tiny.folder)
    settings = write_tiny_station(tmp_path)
    return tmp_path, settings.folder / "frames" / write_pictures(settings.folder / "frames", 1)[0]


def test_a_picture_is_judged_as_the_station_would_and_lets_nothing_pass(seeing: tuple[Path, Path]) -> None:
    root, picture = seeing
    done = assist(root, "s1", "--image", str(picture), "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["picture"], answer["part"]["seq"]) == ("inspect", "file", None)
    assert answer["verdict"]["label"] in {"good", "scale", "scale_pit", "scale_crack"}
    assert "may go on" not in answer["suggested_action"]
    assert any("nothing was logged or published" in note for note in answer["notes"])
    assert not (root / "var" / "s1" / "inspector.db").exists()


def test_product_and_lot_of_a_picture_may_be_named(seeing: tuple[Path, Path]) -> None:
    root, picture = seeing
    part = ask(root, "inspect this picture", "--image", str(picture), "--product", "strip", "--lot", "L7", station="s1")["part"]
    assert (part["product"], part["lot"]) == ("strip", "L7")


def test_a_picture_is_not_judged_for_a_question_that_is_not_about_it(seeing: tuple[Path, Path]) -> None:
    root, picture = seeing
    (root / "models" / "tiny").unlink()
    assert ask(root, "how many parts in the last hour", "--image", str(picture), station="s1")["picture"] == "none"
    failed = assist(root, "s1", "--image", str(picture))
    assert failed.exit_code == 1
    assert "there is no such model" in failed.stderr


def test_a_box_cuts_the_picture_and_must_lie_within_it(seeing: tuple[Path, Path]) -> None:
    root, picture = seeing
    assert ask(root, "inspect this part", "--image", str(picture), "--box", "10,10,64,64", station="s1")["picture"] == "file"
    outside = assist(root, "s1", "--image", str(picture), "--box", "100,10,64,64")
    assert outside.exit_code == 1
    assert "leaves" in outside.stderr
    assert "128 x 96 pixels" in outside.stderr


def test_without_a_screen_a_screenshot_is_refused_with_the_cure(seeing: tuple[Path, Path]) -> None:
    done = assist(seeing[0], "s1", "--screenshot")
    assert done.exit_code == 1
    assert "$DISPLAY is not set" in done.stderr


def test_a_station_without_a_log_says_so(tmp_path: Path) -> None:
    write_station(tmp_path)
    answer = ask(tmp_path, "show the last defect")
    assert answer["answer"] == "The station has not judged anything yet: its log is not there."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calibration"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "ask with --text or --audio"),
        (("--text", "a", "--audio", "b.wav"), "are two questions"),
        (("--image", "a.png", "--screenshot"), "are two pictures"),
        (("--text", "a", "--box", "1,2,3,4"), "--box needs"),
        (("--image", "a.png", "--box", "1,2"), "is not x,y,width,height"),
    ],
)
def test_wrong_use_is_told(root: Path, options: tuple[str, ...], message: str) -> None:
    done = assist(root, "mill-1", *options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_sentences_can_be_listed_with_the_stations_own_words(root: Path) -> None:
    done = assist(root, "mill-1", "--sentences")
    assert done.exit_code == 0
    assert "mark this part as <label>" in done.stdout
    assert "<label>: good, surface scratch, slag inclusion, red iron" in done.stdout


def test_a_dictation_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssistError, match=r"assist\.dictation must be the folder of a faster-whisper model"):
        dictated(np.zeros(16_000, np.int16), tmp_path, Words.of(write_station(tmp_path)))


def test_every_field_of_an_answer_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/assist.md").read_text(encoding="utf-8")
    models = (AssistPayload, AnsweredPart, AnsweredVerdict, Confirmation, LikelyCause)
    named = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []
