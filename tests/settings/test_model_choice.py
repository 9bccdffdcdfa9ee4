"""model.checkpoint in station.toml: changed alone, with every comment kept."""

from pathlib import Path

import pytest

from inspector.errors import SettingsError
from inspector.settings import choose_model, read_station

PLAIN = """# Press 7, by Anna.
[products.screw]
labels = ["good", "bad"]   # two are enough

[model]
checkpoint = "inspector-edge" # folder below models/, or a path
threads = 1

[cameras.line]             # the left one
kind = "folder"
path = "frames"
"""


def station(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "station.toml").write_bytes(text.encode())
    return folder


def test_only_the_name_changes(tmp_path: Path) -> None:
    folder = station(tmp_path / "s1", PLAIN)
    choose_model(folder, "s1-0123456789ab")
    assert (folder / "station.toml").read_bytes().decode() == PLAIN.replace('"inspector-edge"', '"s1-0123456789ab"')
    choose_model(folder, "inspector-edge")
    assert (folder / "station.toml").read_bytes().decode() == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace('[model]\ncheckpoint = "inspector-edge" # folder below models/, or a path\nthreads = 1\n', ""),
        PLAIN.replace('checkpoint = "inspector-edge" # folder below models/, or a path\n', ""),
        'model = { checkpoint = "inspector-edge", threads = 1 }\n' + PLAIN.replace("[model]\n", "[reports]\n").replace(
            'checkpoint = "inspector-edge" # folder below models/, or a path\nthreads = 1\n', "max_reports = 0\n"
        ),
        'model.checkpoint = "a"\n' + PLAIN.partition("[model]")[0] + '[cameras.line]\nkind = "folder"\npath = "frames"\n',
    ],
    ids=["crlf", "no table", "no key", "inline", "dotted"],
)  # fmt: skip
def test_however_it_is_written_nothing_else_changes(tmp_path: Path, text: str) -> None:
    folder = station(tmp_path / "s1", text)
    before = read_station(folder)
    choose_model(folder, "s1-0123456789ab")
    after = read_station(folder)
    assert after.model.checkpoint == "s1-0123456789ab"
    assert after.model_copy(update={"model": before.model}) == before
    changed = (folder / "station.toml").read_bytes().decode()
    assert all(line in changed for line in text.splitlines(keepends=True) if "#" in line and "checkpoint" not in line)


def test_a_file_with_mistakes_is_not_touched(tmp_path: Path) -> None:
    folder = station(tmp_path / "s1", PLAIN + "colour = 1\n")
    with pytest.raises(SettingsError, match="colour"):
        choose_model(folder, "s1-0123456789ab")
    assert (folder / "station.toml").read_text() == PLAIN + "colour = 1\n"
