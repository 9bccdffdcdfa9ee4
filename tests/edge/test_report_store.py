"""The report store on a real database, with a small real bag-of-letters encoder."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inspector.core.report import Report
from inspector.edge import reports as reports_module
from inspector.edge.reports import ReportStore
from inspector.edge.schema import open_database
from inspector.errors import ReportError
from inspector.settings import ReportsSection

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECTION = ReportsSection(max_reports=3, recency_days=30.0, recency_weight=0.5)


class LetterEncoder:
    """Encodes a text by how often each letter occurs, and counts the texts."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        self.encoded += texts
        counts = np.array([[1.0, *(text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz")] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def encode() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inspector.db"


@pytest.fixture
def store(path: Path, encode: LetterEncoder) -> Iterator[ReportStore]:
    opened = ReportStore(path, encode, "letters@1", SECTION, {"strip": "steel strip"})
    yield opened
    opened.close()


def report(
    name: str, days: float = 1.0, text: str = "pit", lot: str | None = None, station: str | None = None, product: str = "strip"
) -> Report:
    return Report(name, NOON - timedelta(days=days), product, text, station, lot)


def chosen(store: ReportStore, lot: str | None = None, before: datetime = NOON, station: str = "st") -> list[str]:
    return [found.report_id for found in store.relevant("strip", station, lot, before)[0]]


def fill(store: ReportStore, *reports: Report) -> None:
    store.add(reports)
    store.embed_missing()


def test_reports_of_another_product_station_or_lot_never_count(store: ReportStore) -> None:
    fill(
        store,
        report("ours"), report("here", station="st"), report("elsewhere", station="other"),
        report("alien", product="screw"), report("lot", lot="L1"), report("other-lot", lot="L2"),
    )  # fmt: skip
    assert set(chosen(store, lot="L1")) == {"ours", "here", "lot"}


def test_reports_of_the_same_lot_beat_younger_and_more_similar_ones_without_a_lot(store: ReportStore) -> None:
    fill(
        store,
        *(report(f"lot{i}", 300 + i, "zzz", lot="L1") for i in range(3)),
        *(report(f"new{i}", 1, "steel strip, lot L1, station st") for i in range(9)),
    )
    assert chosen(store, lot="L1") == ["lot2", "lot1", "lot0"]


def test_where_the_lot_is_not_known_all_lots_count(store: ReportStore) -> None:
    fill(store, report("a", 3, lot="L1"), report("b", 2, lot="L2"), report("c", 1))
    assert chosen(store, lot=None) == chosen(store, lot="") == ["a", "b", "c"]


def test_only_reports_written_strictly_before_the_instant_count(store: ReportStore) -> None:
    fill(store, report("past", 1), report("present", 0), report("future", -1))
    assert chosen(store) == ["past"]
    assert chosen(store, before=NOON + timedelta(microseconds=1)) == ["past", "present"]
    assert chosen(store) == ["past"]
    assert chosen(store, before=NOON + timedelta(days=2)) == ["past", "present", "future"]


def test_reports_come_oldest_first_with_ties_by_id_whatever_the_order_of_storing(path: Path, encode: LetterEncoder) -> None:
    reports = [report("b", 2), report("a", 2), report("c", 1)]
    for number, order in enumerate(itertools.permutations(reports)):
        store = ReportStore(path.with_name(f"{number}.db"), encode, "letters@1", SECTION)
        fill(store, *order)
        assert chosen(store) == ["a", "b", "c"]
        store.close()


def test_similarity_decides_among_reports_of_one_age_and_recency_among_like_ones(store: ReportStore) -> None:
    fill(store, *(report(f"far{i}", 5, "qqqq") for i in range(3)), *(report(f"near{i}", 5, "steel strip station") for i in range(3)))
    assert set(chosen(store)) == {"near0", "near1", "near2"}
    fill(store, *(report(f"fresh{i}", 1, "steel strip station") for i in range(3)))
    assert set(chosen(store)) == {"fresh0", "fresh1", "fresh2"}


def test_vectors_belong_to_their_reports_and_cannot_be_changed(store: ReportStore, encode: LetterEncoder) -> None:
    fill(store, report("a", 3, "scratch"), report("b", 2, "ash"))
    reports, vectors = store.relevant("strip", "st", None, NOON)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, encode([found.text for found in reports]))
    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 1.0


def test_without_reports_the_vectors_have_no_rows_but_their_width(store: ReportStore) -> None:
    reports, vectors = store.relevant("strip", "st", "L1", NOON)
    assert (reports, vectors.shape) == ((), (0, 27))


def test_max_reports_zero_needs_no_encoder(path: Path, encode: LetterEncoder) -> None:
    store = ReportStore(path, encode, "letters@1", ReportsSection(max_reports=0))
    assert store.relevant("strip", "st", None, NOON)[0] == ()
    assert encode.encoded == []
    store.close()


def test_a_report_is_embedded_once_and_a_query_too(store: ReportStore, encode: LetterEncoder) -> None:
    fill(store, report("a"), report("b"))
    for minute in range(90):
        chosen(store, before=NOON + timedelta(minutes=minute))
    assert store.embed_missing() == 0
    assert sorted(encode.encoded) == ["pit", "pit", "steel strip, station st"]


def test_reports_are_embedded_anew_when_the_encoder_changes_and_going_back_costs_nothing(path: Path, store: ReportStore) -> None:
    fill(store, report("a", text="x"), report("b", text="y"))
    fresh = LetterEncoder()
    other = ReportStore(path, fresh, "letters@2", SECTION)
    assert chosen(other) == []
    assert other.embed_missing() == 2
    assert fresh.encoded[-2:] == ["x", "y"]
    assert chosen(other) == ["a", "b"]
    assert store.embed_missing() == 0
    other.close()


def test_embedding_reports_its_progress_and_handles_more_than_one_batch(store: ReportStore) -> None:
    seen: list[tuple[int, int]] = []
    store.add(report(f"r{i:03}", text="abc"[i % 3]) for i in range(150))
    assert store.embed_missing(lambda done, total: seen.append((done, total))) == 150
    assert seen == [(64, 150), (128, 150), (150, 150)]
    assert store.missing() == 0


def test_reports_that_another_process_imports_or_deletes_are_noticed_at_once(path: Path, store: ReportStore) -> None:
    fill(store, report("a"))
    assert chosen(store) == ["a"]
    other = ReportStore(path, LetterEncoder(), "letters@1", SECTION)
    fill(other, report("b"))
    assert chosen(store) == ["a", "b"]
    database = open_database(path)
    database.conn.execute("DELETE FROM reports WHERE report_id = 'a'")
    database.conn.close()
    assert chosen(store) == ["b"]
    other.close()


def test_an_answer_never_depends_on_what_was_asked_before(path: Path, encode: LetterEncoder, store: ReportStore) -> None:
    fill(store, *(report(f"r{i:02}", days=i / 7, text="steel strip"[: i % 9], lot=[None, "L1"][i % 2]) for i in range(40)))
    rng = np.random.default_rng(0)
    for minutes in rng.integers(0, 8000, 40):
        before = NOON - timedelta(minutes=int(minutes))
        fresh = ReportStore(path, encode, "letters@1", SECTION, {"strip": "steel strip"})
        assert chosen(store, "L1", before) == chosen(fresh, "L1", before)
        fresh.close()


def test_a_stored_report_is_recognised_and_never_overwritten(store: ReportStore) -> None:
    first = store.add([report("a"), report("b"), report("a")], source="a.csv")
    assert (first.added, first.present, first.conflicting) == (("a", "b"), ("a",), ())
    second = store.add([report("a"), report("b", text="changed"), report("c")])
    assert (second.added, second.present, second.conflicting) == (("c",), ("a",), ("b",))
    assert {found.report_id: found.text for found in store.newest()} == {"a": "pit", "b": "pit", "c": "pit"}
    assert store.count() == 3


def test_reports_are_added_all_or_none(store: ReportStore) -> None:
    naive = Report("n", datetime(2026, 1, 1), "strip", "text")  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="no time zone"):
        store.add([report("a"), naive])
    assert store.count() == 0


def test_a_report_keeps_every_field_and_any_language(store: ReportStore) -> None:
    whole = Report("编号-1", NOON + timedelta(microseconds=1), "strip", "钢带表面有划痕 😀", "st", "批次7", "scratch")
    store.add([whole])
    assert store.newest() == [whole]


def test_newest_lists_newest_first_and_filters(store: ReportStore) -> None:
    fill(store, report("a", 3, lot="L1"), report("b", 2), report("c", 1, lot="L1"), report("d", 0, product="screw"))
    assert [found.report_id for found in store.newest()] == ["d", "c", "b", "a"]
    assert [found.report_id for found in store.newest(lot="L1", limit=1)] == ["c"]
    assert [found.report_id for found in store.newest(product="screw")] == ["d"]


def test_search_ranks_by_meaning_but_puts_literal_hits_first(store: ReportStore) -> None:
    fill(
        store,
        report("a", text="pits in groove"),
        report("b", text="ssccrraattcchh"),
        report("c", text="a SCRATCH over the whole width of the strip"),
    )
    assert [found.report_id for found, _ in store.search("scratch", 2)] == ["c", "b"]
    assert store.search("scratch", 2)[1][1] == pytest.approx(0.99, abs=0.02)


def test_only_the_newest_candidates_of_a_kind_are_read(monkeypatch: pytest.MonkeyPatch, store: ReportStore) -> None:
    monkeypatch.setattr(reports_module, "CANDIDATES", 2)
    fill(store, report("old", 9, "steel strip, station st"), report("b", 2, "q"), report("c", 1, "q"))
    assert chosen(store) == ["b", "c"]


def test_a_vector_of_another_width_is_refused_with_a_cure(path: Path, store: ReportStore) -> None:
    fill(store, report("a"))
    database = open_database(path)
    database.conn.execute("UPDATE report_vectors SET vector = x'00000000'")
    database.conn.close()
    with pytest.raises(ReportError, match="import again"):
        chosen(store)
