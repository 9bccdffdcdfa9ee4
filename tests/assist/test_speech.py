"""Eight spoken sentences through the whole verb, and speech that is none of them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from inspector.cli import main
from inspector.edge.json_schemas import schema_files
from tests.assist.assist_kit import fill, judged, speak, write_station

SENTENCES = {
    "show the last defect": ("part", None),
    "why was this part rejected": ("why", None),
    "how many parts in the last hour": ("count", None),
    "what is the yield of the last shift": ("yield", None),
    "what was reported about surface scratch": ("reports", None),
    "mark this part as slag inclusion": ("mark", "review"),
    "pause the station": ("command", "command"),
    "stop the line": ("refused", None),
}
STRANGE = ["the weather is nice today", "please bring me a cup of coffee", "where is the maintenance key", "tomorrow is a holiday"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed: pip install 'qc-inspector[assist]'")
    root = tmp_path_factory.mktemp("assist")
    write_station(root)
    fill(root, judged(1, "surface_scratch", "fail"), judged(2, "good", "pass"))
    return root


def ask(root: Path, sound: Path) -> Any:
    done = CliRunner().invoke(main, ["--root", str(root), "assist", "mill-1", "--audio", str(sound), "--json"], env={"STATE_DIRECTORY": ""})
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(schema_files()["assist.schema.json"]))
    return answer


def test_at_least_seven_of_eight_spoken_sentences_are_answered_right_and_all_answers_fit_the_schema(root: Path, tmp_path: Path) -> None:
    wrong = []
    for number, (text, (kind, action)) in enumerate(SENTENCES.items()):
        answer = ask(root, speak(text, tmp_path / f"{number}.wav"))
        wanted = answer["needs_confirmation"]
        if (answer["transcript"], answer["kind"], wanted and wanted["action"]) != (text, kind, action):
            wrong.append((text, answer["transcript"], answer["kind"]))
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize("text", STRANGE)
def test_speech_that_is_no_sentence_is_said_to_be_none_and_nothing_is_looked_up(root: Path, tmp_path: Path, text: str) -> None:
    answer = ask(root, speak(text, tmp_path / "a.wav"))
    assert (answer["understood"], answer["kind"], answer["transcript"]) == (False, "not-understood", None)
    assert answer["answer"].startswith("Not understood: ")
    assert "why was this part rejected" in answer["suggested_action"]
    assert (answer["part"], answer["verdict"], answer["needs_confirmation"], answer["picture"]) == (None, None, None, "none")


def test_silence_is_said_to_be_silence(root: Path, tmp_path: Path) -> None:
    sound = speak("pause the station", tmp_path / "a.wav")
    head = sound.read_bytes()[:44]
    sound.write_bytes(head + bytes(len(sound.read_bytes()) - 44))
    assert "nothing was said" in ask(root, sound)["answer"]
