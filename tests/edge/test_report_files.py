"""Reading report files: good rows are kept, bad ones are told."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.report import Report
from inspector.edge.report_dates import leading_instant, read_instant
from inspector.edge.report_files import ReportRules, read_reports
from inspector.errors import ReportError

RULES = ReportRules("strip", frozenset({"strip", "screw"}), {})


def read(folder: Path, name: str, content: str | bytes, rules: ReportRules = RULES) -> tuple[list[Report], list[str]]:
    """Write a file, read it, and return reports and ``line: reason`` of the bad rows."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reports, bad = read_reports(path, rules)
    assert all(row.path == path and str(row).startswith(str(path)) for row in bad)
    return reports, [f"{row.line}: {row.reason}" for row in bad]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_is_read_with_any_delimiter_line_end_and_byte_order_mark(tmp_path: Path, delimiter: str, mark: str, end: str) -> None:
    rows = [["report_id", "written_at", "lot", "label", "text"], ["7", "2026-11-23 14:00", "L1", "ash", '"左边缘, ""A""; 两处"']]
    reports, bad = read(tmp_path, "a.csv", mark + end.join(delimiter.join(row) for row in rows) + end)
    assert bad == []
    assert reports == [Report("7", datetime(2026, 11, 23, 14, tzinfo=UTC), "strip", '左边缘, "A"; 两处', lot="L1", label="ash")]


def test_bad_csv_rows_are_told_by_line_and_the_good_ones_kept(tmp_path: Path) -> None:
    lines = [
        "report_id,written_at,product,text",
        "a,2026-11-20,,two\twords",
        "",
        "b,11/23/2026,,no date",
        'c,2026-11-20,,"line one',
        'line two"',
        "d,2026-11-20,stripp,typo",
        "e,2026-11-20,,",
        'f,2026-11-20,,"never closed',
        'g,2026-11-20,screw,5" wide',
        "h,2026-11-20,,too, many",
        ",,,",
        "a,2026-11-20,,another text",
        "i,,,no date",
    ]  # fmt: skip
    reports, bad = read(tmp_path, "a.csv", "\n".join(lines))
    assert [found.report_id for found in reports] == ["a", "c", "g"]
    assert reports[1].text == "line one\nline two"
    wanted = {
        4: "no date",
        7: "did you mean 'strip'",
        8: "text is empty",
        9: "quotation mark",
        11: "5 fields",
        13: "another content",
        14: "written_at is empty",
    }
    assert [int(row.split(":")[0]) for row in bad] == list(wanted)
    assert all(words in row for words, row in zip(wanted.values(), bad, strict=True))


def test_columns_are_mapped_by_settings_and_a_missing_one_is_named_with_what_was_found(tmp_path: Path) -> None:
    content = "Datum;Befund;Charge\n23.11.2026 14:00;Riefe;L7\n"
    rules = ReportRules("strip", frozenset({"strip"}), {"written_at": "datum", "text": "Befund", "lot": "Charge"})
    reports, bad = read(tmp_path, "a.csv", content, rules)
    assert (bad, reports[0].text, reports[0].lot, reports[0].written_at.hour) == ([], "Riefe", "L7", 14)
    reports, bad = read(tmp_path, "a.csv", content)
    assert reports == []
    assert "no column 'written_at'" in bad[0]
    assert "Datum, Befund, Charge" in bad[0]
    with pytest.raises(ReportError, match="did you mean 'text'"):
        read(tmp_path, "a.csv", content, ReportRules("strip", frozenset({"strip"}), {"txt": "Befund"}))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"text\nok\n\xff\n", "line 3: byte 0xff"), ("text\nok".encode("utf-16"), "UTF-16"), (b"", "empty"), (b" \n", "empty")],
)
def test_a_file_in_another_encoding_or_without_content_is_refused_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    reports, bad = read(tmp_path, "a.csv", content)
    assert reports == []
    assert words in bad[0]


def test_jsonl_is_read_line_by_line(tmp_path: Path) -> None:
    lines = [
        '{"report_id": 7, "written_at": "2026-11-20T10:00:00+08:00", "text": " 划痕 ", "lot": 17, "label": null}',
        "{oops",
        '["x"]',
        "",
        '{"text": "x"}',
        '{"text": ["x"], "written_at": "2026-11-20"}',
        '{"text": "\\ud800", "written_at": "2026-11-20"}',
        "[" * 100_000,
    ]
    reports, bad = read(tmp_path, "a.jsonl", "\n".join(lines))
    assert reports[0] == Report("7", datetime(2026, 11, 20, 2, tzinfo=UTC), "strip", "划痕", lot="17")
    assert reports[1].text == "?"
    assert [row.split(":")[0] for row in bad] == ["2", "3", "5", "6", "8"]


def test_a_folder_of_text_files_takes_ids_from_names_and_times_from_name_text_or_file(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("2026-11-01 08:30 Roll changed", encoding="utf-8")
    (folder / "2026-10-02_shift.txt").write_text("\ufefffound ash", encoding="utf-8")
    (folder / "c.txt").write_text("no date", encoding="utf-8")
    os.utime(folder / "c.txt", (1_700_000_000, 1_700_000_000))
    (folder / "d.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    (folder / "e.txt").write_text(" \n", encoding="utf-8")
    (folder / "picture.png").write_bytes(b"x")
    reports, bad = read_reports(folder, RULES)
    assert [(found.report_id, found.text, found.written_at) for found in reports] == [
        ("2026-10-02_shift", "found ash", datetime(2026, 10, 2, tzinfo=UTC)),
        ("a", "Roll changed", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
        ("c", "no date", datetime.fromtimestamp(1_700_000_000, UTC)),
    ]
    assert [row.path.name for row in bad] == ["d.txt", "e.txt"]
    assert read_reports(folder / "a.txt", RULES)[0] == [reports[1]]


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent.csv", "No such file"), ("absent", "no such file or folder"), ("a.pdf", "not read"), ("empty", "no .txt file")],
)
def test_what_cannot_be_read_at_all_is_told_as_one_bad_row(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    reports, bad = read_reports(tmp_path / name, RULES)
    assert reports == []
    assert words in str(bad[0])


def test_a_row_without_an_id_gets_the_same_one_each_time_and_another_row_another_one(tmp_path: Path) -> None:
    first, _ = read(tmp_path, "a.csv", "written_at,text\n2026-11-20,x\n2026-11-20,y\n2026-11-20,x\n")
    again, _ = read(tmp_path, "b.jsonl", '{"text": "x", "written_at": "2026-11-20T00:00:00Z"}')
    assert first[0].report_id == first[2].report_id == again[0].report_id != first[1].report_id


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T14:00:00Z", "2026-11-23 14:00", "2026-11-23T15:00+01:00", "2026-11-23T14:00:00.000000", "20261123T140000",
     "2026/11/23 14:00", "23.11.2026 14:00", "2026年11月23日 14:00", " 2026-11-23  14:00 "],
)  # fmt: skip
def test_dates_are_read_in_the_usual_spellings_and_without_a_zone_as_utc(text: str) -> None:
    assert read_instant(text) == datetime(2026, 11, 23, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "03/04/2026", "2026-02-30", "0001-01-01T00:00+14:00", "1700000000000", "2026-11-23 25:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ReportError, match="is no date"):
        read_instant(text)


def test_a_number_that_only_looks_like_a_date_stays_in_the_text() -> None:
    assert leading_instant("2026-11-23-7 rolls") == (None, "2026-11-23-7 rolls")
    assert leading_instant("2026-99-23 rolls") == (None, "2026-99-23 rolls")
    assert leading_instant("2026-11-23: rolls")[1] == "rolls"


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.txt"]))
def test_any_bytes_give_reports_or_reasons_but_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    for prefix in (b"", b"written_at,text\n2026-11-20,", b'{"written_at": "2026-11-20", "text": "x"}\n'):
        path.write_bytes(prefix + content)
        reports, bad = read_reports(path, RULES)
        assert all(found.text and found.report_id for found in reports)
        assert all(row.reason for row in bad)
