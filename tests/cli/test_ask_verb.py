"""``inspector ask`` with tiny models: the reply keeps to its schema, and a station on inspector-edge is told what to do."""

import json
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from inspector.cli import main
from inspector.core.label import LabelSet
from inspector.core.reply import fields_for
from inspector.daemon import run
from inspector.edge.answer_payload import answer_model
from inspector.edge.log import Log, database_path
from tests.conftest import Tiny
from tests.full_kit import write_tiny_full
from tests.station_kit import LABELS, install_tiny, write_pictures, write_station

FULL = 'checkpoint = "full"\nprecision = "float32"\nthreads = 1'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    install_tiny(folder, tiny.folder)
    write_tiny_full(folder / "models" / "full")
    write_pictures(write_station(folder, model=FULL, log='keep_images = "all"').folder / "frames", 1)
    return folder


def ask(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "ask", *words], env={"STATE_DIRECTORY": ""})


def test_the_reply_about_a_picture_keeps_to_the_schema_of_the_station(root: Path) -> None:
    picture = str(root / "calibration" / "s1" / "frames" / "part-00.png")
    asked = ("s1", "Is it worn?", "--image", picture)
    schema = json.loads(ask(root, *asked, "--schema").stdout)
    done = ask(root, *asked, "--json", "--tokens", "5")
    assert done.exit_code == 0, done.output
    reply = json.loads(done.stdout)
    jsonschema.validate(reply, schema)
    assert list(reply["fields"]) == ["label", "place", "answer", "basis"]
    assert reply["fields"]["label"]["value"] in LABELS
    assert sum(reply["fields"]["place"]["scores"].values()) == pytest.approx(1.0, abs=1e-4)
    assert reply["picture"] == picture
    reply["fields"]["label"]["value"] = "gold"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(reply, schema)


def test_a_question_without_a_picture_and_one_about_a_logged_inspection(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ask(root, "s1", "What is a scale?", "--tokens", "3")
    assert shown.exit_code == 0, shown.output
    for expected in ("full@", "answer", "sentence:", "no verdict"):
        assert expected in shown.stdout
    assert "place" not in shown.stdout
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    settings = write_station(root, model=FULL, log='keep_images = "all"')
    run(settings, root, threading.Event(), lambda _: None)
    with Log(database_path(settings, root), "s1", read_only=True) as log:
        logged = next(log.find())
    done = ask(root, "s1", "Where?", "--inspection", logged.inspection_id, "--json", "--tokens", "0")
    assert done.exit_code == 0, done.output
    assert (reply := json.loads(done.stdout))["picture"] == logged.inspection_id
    assert (reply["sentence"], reply["product"]) == ("", "screw")
    assert "neither a picture file nor an inspection" in ask(root, "s1", "Where?", "--inspection", "no-such-id").stderr


def test_a_station_on_inspector_edge_is_told_what_to_do(root: Path) -> None:
    write_station(root, "edge")
    refused = ask(root, "edge", "Is it worn?")
    assert refused.exit_code == 1
    for expected in (
        "edge runs tiny, which answers with labels",
        "models pull openbmb/MiniCPM-V-4.6",
        "inspector trace edge PICTURE",
    ):
        assert expected in refused.stderr
    both = ask(root, "s1", "?", "--image", str(root / "calibration" / "s1" / "frames" / "part-00.png"), "--inspection", "x")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)


def test_a_value_that_is_not_of_its_list_is_no_payload() -> None:
    fields = fields_for(LabelSet(("no-pit", "model_x", "_odd", "点蚀")), has_picture=True, has_reports=True)
    shape = answer_model(fields)
    facts: dict[str, Any] = {"station": "s", "model": "m@1", "product": "p", "question": "?", "picture": None, "reports": []}

    def payload(label: str) -> Any:
        values = {field.name: {"value": field.choices[0], "scores": dict.fromkeys(field.choices, 0.1)} for field in fields}
        values["label"]["value"] = label
        return shape(**facts, sentence="", times_ms={}, fields=values)

    assert json.loads(payload("点蚀").to_json())["fields"]["label"]["value"] == "点蚀"
    with pytest.raises(ValidationError):
        payload("gold")
