"""``inspector reports``: import, list and search the historical QC reports of a station; prepare their encoder."""

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from inspector.core.report import Report
from inspector.errors import ReportError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from inspector.edge.report_files import BadRow, ReportRules
    from inspector.edge.reports import ReportStore

_SHOWN_BAD_ROWS = 50


@click.group
def command() -> None:
    """Import, list and search the historical QC reports of a station."""


@command.command("import")
@click.argument("station")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.pass_obj
def import_reports(root: Path, station: str, files: tuple[Path, ...]) -> None:
    """Import reports from CSV or JSONL files, text files or folders of them, and embed them.

    Good rows are kept, bad ones are told with file, line and reason. Exits with 1 if no row could be used.
    """
    from inspector.edge.report_files import BadRow, read_reports  # noqa: PLC0415 - keeps `inspector --help` quick

    settings, notes, table, usable = _settings(root, station), Console(stderr=True), Table("file", "added", "already there", "bad rows"), 0
    rules, bad = _rules(settings), list[BadRow]()
    with _open_store(root, settings) as store:
        for path in files:
            reports, broken = read_reports(path, rules)
            addition = store.add(reports, source=str(path))
            taken = "is stored already with another content; a stored report never changes, give the new one another report_id"
            broken += [BadRow(path, 0, f"report {name!r} {taken}") for name in addition.conflicting]
            table.add_row(escape(str(path)), str(len(addition.added)), str(len(addition.present)), str(len(broken)))
            usable += len(addition.added) + len(addition.present)
            bad += broken
        _embed(store, notes)
        total = store.count()
    _tell_bad_rows(bad)
    Console().print(table)
    click.echo(f"{total} reports stored")
    if not usable:
        raise ReportError(f"no report could be imported from {', '.join(map(str, files))}; see the reasons above")


@command.command("list")
@click.argument("station")
@click.option("--lot", help="Only reports of this lot.")
@click.option("--product", help="Only reports of this product.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def list_reports(root: Path, station: str, lot: str | None, product: str | None, limit: int, as_json: bool) -> None:
    """List reports, newest first."""
    settings = _settings(root, station)
    if not _has_reports(root, settings, as_json=as_json):
        return
    with _open_store(root, settings) as store:
        found, total = store.newest(product, lot, limit), store.count()
    _show([(report, None) for report in found], as_json=as_json)
    if not as_json:
        click.echo(
            f"{len(found)} of {total} reports" if total else f"no reports yet; import some with: inspector reports import {station} FILE..."
        )


@command.command("search")
@click.argument("station")
@click.argument("text")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def search_reports(root: Path, station: str, text: str, limit: int, as_json: bool) -> None:
    """Find reports that mean or say TEXT, best first; those that hold it word for word come before all others."""
    settings = _settings(root, station)
    if not _has_reports(root, settings, as_json=as_json):
        return
    with _open_store(root, settings) as store:
        _embed(store, Console(stderr=True))
        found = store.search(text, limit)
    _show(found, as_json=as_json)


@command.command("prepare")
@click.argument("station")
@click.pass_obj
def prepare(root: Path, station: str) -> None:
    """Export the report encoder for the daemon and embed reports that lack a vector. Import does this too."""
    from inspector.training.encoder_export import ensure_onnx_encoder  # noqa: PLC0415 - keeps `inspector --help` quick

    settings, notes = _settings(root, station), Console(stderr=True)
    folder = ensure_onnx_encoder(settings.encoder, root / "models", _note)
    with _open_store(root, settings) as store:
        embedded = _embed(store, notes)
    click.echo(f"report encoder ready in {folder}; {embedded} reports embedded")


def _settings(root: Path, station: str) -> StationSettings:
    return read_station(root / "calibration" / station)


def _has_reports(root: Path, settings: StationSettings, *, as_json: bool) -> bool:
    """Return False, and say so, if the station has no report; a station without a log does not get one by being asked."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - keeps `inspector --help` quick

    if database_path(settings, root).exists():
        with _open_store(root, settings) as store:
            if store.count():
                return True
    if not as_json:
        click.echo(f"no reports yet; import some with: inspector reports import {settings.name} FILE...")
    return False


def _rules(settings: StationSettings) -> "ReportRules":
    from inspector.edge.report_files import ReportRules  # noqa: PLC0415 - keeps `inspector --help` quick

    return ReportRules(settings.default_product, frozenset(settings.products), settings.reports.columns)


@contextmanager
def _open_store(root: Path, settings: StationSettings) -> Iterator["ReportStore"]:
    """Open a station's reports; the encoder is loaded, and exported if need be, when the first text is to be encoded."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - keeps `inspector --help` quick
    from inspector.edge.reports import ReportStore  # noqa: PLC0415 - as above
    from inspector.training.encoder_export import ensure_onnx_encoder  # noqa: PLC0415 - as above
    from inspector.vlm.encoder import OnnxEncoder, expected_revision  # noqa: PLC0415 - as above

    name = settings.encoder
    encoder = functools.cache(lambda: OnnxEncoder(ensure_onnx_encoder(name, root / "models", _note), threads=settings.model.threads))
    descriptions = {product: section.description for product, section in settings.products.items()}
    revision = expected_revision(name)
    store = ReportStore(database_path(settings, root), lambda texts: encoder().encode(texts), revision, settings.reports, descriptions)
    try:
        yield store
    finally:
        store.close()


def _embed(store: "ReportStore", notes: Console) -> int:
    """Embed what lacks a vector, with a bar on stderr."""
    missing = store.missing()
    if not missing:
        return 0
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("embedding reports", total=missing)
        return store.embed_missing(lambda done, total: progress.update(bar, completed=done, total=total))


def _note(line: str) -> None:
    click.echo(line, err=True)


def _tell_bad_rows(bad: "Sequence[BadRow]") -> None:
    for row in bad[:_SHOWN_BAD_ROWS]:
        _note(str(row))
    if len(bad) > _SHOWN_BAD_ROWS:
        _note(f"... and {len(bad) - _SHOWN_BAD_ROWS} more bad rows")


def _show(found: Sequence[tuple[Report, float | None]], *, as_json: bool) -> None:
    """Print reports as a table or as JSON lines."""
    if as_json:
        for report, similarity in found:
            click.echo(json.dumps(_row(report, similarity), ensure_ascii=False))
    elif found:
        scored = found[0][1] is not None
        short = [Column(name, no_wrap=True) for name in ("written (UTC)", "report", "lot", "label")]
        table = Table(*(["alike"] if scored else []), *short, Column("text", overflow="fold"), box=SIMPLE_HEAD, pad_edge=False)
        for report, similarity in found:
            cells = [
                f"{report.written_at:%Y-%m-%d %H:%M}",
                *map(escape, (report.report_id, report.lot or "", report.label or "", report.text)),
            ]
            table.add_row(*([f"{similarity:.2f}"] if similarity is not None else []), *cells)
        Console().print(table)


def _row(report: Report, similarity: float | None) -> dict[str, object]:
    row: dict[str, object] = {"report_id": report.report_id, "written_at": report.written_at.isoformat().replace("+00:00", "Z")}
    row |= {"product": report.product, "station": report.station, "lot": report.lot, "label": report.label, "text": report.text}
    return row if similarity is None else row | {"similarity": round(similarity, 4)}
