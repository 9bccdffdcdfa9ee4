import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from inspector.cli.data_options import DataChoice, data_options
from inspector.training.groups import ByLevel, ByPattern, ByTable, GroupRule, NoGroups
from tests.pictures_kit import LABELS, lay, part_folders


def run(*words: str, required: bool = True) -> tuple[DataChoice | None, str]:
    heard: list[DataChoice | None] = []

    @click.command
    @click.argument("station")
    @data_options(required=required)
    def verb(station: str, data: DataChoice | None) -> None:
        assert station == "s1"
        heard.append(data)

    done = CliRunner().invoke(verb, ["s1", *words])
    assert done.exit_code in {0, 2}
    return (heard[0] if heard else None), done.output


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ((), None),
        (("--groups-csv", "g.csv"), ByTable(Path("g.csv"))),
        (("--group-pattern", r"(\d+)_.*"), ByPattern(re.compile(r"(\d+)_.*"))),
        (("--group-level", "2"), ByLevel(2)),
        (("--no-groups",), NoGroups()),
    ],
)
def test_each_way_to_say_groups_is_heard(tmp_path: Path, words: tuple[str, ...], rule: GroupRule | None) -> None:
    assert run("--data", str(tmp_path), *words, "--map", "ok=fine,good")[0] == DataChoice(tmp_path, rule, {"fine": "ok", "good": "ok"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--group-level", "1", "--no-groups"), "exclude each other"),
        (("--group-pattern", "("), "is no regular expression"),
        (("--group-pattern", r"\d+"), "has no bracket"),
        (("--group-level", "0"), "0 is not in the range"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    assert message in run("--data", str(tmp_path), *words)[1]


def test_pictures_may_be_left_unsaid_where_the_verb_allows_it() -> None:
    assert run(required=False) == (None, "")
    assert "Missing option '--data'" in run()[1]
    assert "give their folder with --data" in run("--no-groups", required=False)[1]


def test_the_choice_reads_the_pictures_and_tells_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lay(tmp_path / "data", part_folders("train", range(30)))
    choice, _ = run("--data", str(folder), "--group-pattern", r"(\d+)_.*")
    assert choice is not None
    labelled = choice.read(LABELS, work=tmp_path / "run")
    assert {p.split for p in labelled.pictures} == {"train", "val"}
    said = capsys.readouterr()
    assert said.out == ""
    assert "note: there is no val/" in said.err
    assert "pictures.txt" in said.err


def test_every_option_is_explained_to_line_engineers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")

    @click.command
    @data_options()
    def verb(data: DataChoice) -> None: ...

    options = {option for parameter in verb.params for option in parameter.opts}
    assert {option for option in options if option not in page} == set()
