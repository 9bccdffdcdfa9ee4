import re
from pathlib import Path

import pytest

from inspector.errors import DataError
from inspector.training.groups import ByLevel, ByPattern, ByTable, GroupRule, NoGroups, grouped
from inspector.training.listing import Listed
from inspector.training.remarks import Remarks

FILES = ("train/ok/0815_left.png", "train/ok/0815_right.png", "train/dent/plate-7/day-2/a.png")


def listed(*files: str, group: str | None = None) -> list[Listed]:
    return [Listed(file, Path(file), file.split("/")[1], "train", tuple(file.split("/")[2:-1]), group) for file in files]


def groups(rule: GroupRule | None, pictures: list[Listed]) -> tuple[list[str | None], list[str]]:
    remarks = Remarks()
    found = grouped(pictures, rule, remarks)
    return [one.group for one in found], [remark.text for remark in remarks.refusals]


def table(path: Path, text: str) -> ByTable:
    path.write_text(text, encoding="utf-8")
    return ByTable(path)


def test_a_pattern_takes_the_group_from_the_name_and_lists_those_that_do_not_match() -> None:
    found, told = groups(ByPattern(re.compile(r"(\d+)_.*")), listed(*FILES))
    assert found == ["0815", "0815", FILES[2]]
    assert told == [f"{FILES[2]}: the name does not match --group-pattern '(\\d+)_.*'"]


def test_an_empty_group_is_no_group() -> None:
    assert len(groups(ByPattern(re.compile(r"(\d*).*")), listed("train/ok/a.png"))[1]) == 1


@pytest.mark.parametrize(("level", "group"), [(1, "plate-7"), (2, "day-2")])
def test_a_level_takes_the_group_from_a_folder_below_the_label(level: int, group: str) -> None:
    found, told = groups(ByLevel(level), listed(*FILES))
    assert found[2] == group
    assert told == [f"{file}: --group-level {level} needs {level} folders below the label, there is no" for file in FILES[:2]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_gives_group_lot_and_time(tmp_path: Path, separator: str) -> None:
    rows = [
        "File,Group,Lot,taken_at",
        f"{FILES[0]},p1,L9,2026-11-23 14:00",
        "0815_right.png,p1,,",
        "train\\dent\\plate-7\\day-2\\a.png,p2,,",
    ]
    rule = table(tmp_path / "groups.csv", "\ufeff" + "\r\n".join(rows).replace(",", separator))
    remarks = Remarks()
    found = grouped(listed(*FILES), rule, remarks)
    assert not remarks.refusals
    assert [one.group for one in found] == ["p1", "p1", "p2"]
    assert found[0].lot == "L9"
    assert found[0].taken_at is not None
    assert found[0].taken_at.isoformat() == "2026-11-23T14:00:00+00:00"


def test_pictures_that_are_not_in_the_table_are_listed_and_idle_rows_are_noted(tmp_path: Path) -> None:
    remarks = Remarks()
    grouped(listed(*FILES), table(tmp_path / "g.csv", f"file,group\n{FILES[0]},p1\n{FILES[1]},p1\nelse.png,p3\n"), remarks)
    assert [remark.text for remark in remarks.refusals] == [f"{FILES[2]}: has no row in g.csv"]
    assert [remark.text for remark in remarks.notes] == ["g.csv: 1 rows name no picture that was read, such as else.png"]


def test_a_bare_name_that_two_pictures_share_is_refused(tmp_path: Path) -> None:
    told = groups(table(tmp_path / "g.csv", "file,group\na.png,p1\n"), listed("train/ok/a.png", "train/dent/a.png"))[1]
    assert len(told) == 2
    assert "shares its name with another picture" in told[0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (f"{FILES[0]},p1\n{FILES[0]},p2\n", "g.csv:3: train/ok/0815_left.png has group 'p2' here and another on line 2"),
        (f"{FILES[0]},\n", "g.csv:2: group is empty"),
        (f"{FILES[0]},p,q,r\n", "g.csv:2: more fields than columns"),
    ],
)
def test_a_bad_row_is_refused_by_line(tmp_path: Path, rows: str, words: str) -> None:
    assert any(words in line for line in groups(table(tmp_path / "g.csv", f"file,group\n{rows}"), listed(FILES[0]))[1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"file,grup\n", "no column 'group'; did you mean 'grup'"),
        (b"", "no column 'file'"),
        (b"file,group\na,\xfc\n", "line 2 is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "g.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        groups(ByTable(tmp_path / "g.csv"), listed(FILES[0]))
    with pytest.raises(DataError, match="cannot be read"):
        groups(ByTable(tmp_path / "absent.csv"), listed(FILES[0]))


def test_groups_of_the_source_need_no_rule_and_are_not_thrown_away() -> None:
    known = listed(*FILES, group="p1")
    assert groups(None, known) == (["p1"] * 3, [])
    assert groups(NoGroups(), known) == (["p1"] * 3, [])
    assert groups(ByLevel(1), known[2:]) == (["plate-7"], [])
    assert "1 of 4 pictures have no group" in groups(None, known + listed("train/ok/x.png"))[1][0]


def test_without_groups_each_picture_is_its_own() -> None:
    assert groups(NoGroups(), listed(*FILES)) == (list(FILES), [])
