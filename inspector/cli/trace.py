"""``inspector trace``: why this verdict? What it looked at, of a picture file or of a logged inspection whose picture was kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.log import Instant
from inspector.cli.trace_log import log_newest, show_stats
from inspector.cli.traced import frame_of, log_of, open_tracing, rows_of
from inspector.errors import InspectorError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from rich.table import Table

    from inspector.core.inspection import Inspection
    from inspector.training.trace_page import TracedRegion
    from inspector.vlm.full_checkpoint import AnyCheckpoint

_WORDS_SHOWN = 6


@click.command
@click.argument("station")
@click.argument("what", metavar="[PICTURE|INSPECTION_ID]", required=False)
@click.option("--product", help="Product in view. Default: the station's; of an inspection its own.")
@click.option("--lot", help="Lot, position or batch; reports are looked up by it. Of an inspection its own.")
@click.option(
    "--at", type=click.DateTime(), help="Judge with the history as of this instant (UTC). Default: now; of an inspection its own."
)
@click.option("--html", is_flag=True, help="Write a page with the picture, what was looked at in it, and bars.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where it goes: a page, or with .png or .jpg the picture alone."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the numbers of every layer and head.")
@click.option("--log", "into_log", is_flag=True, help="Write it into the log; without INSPECTION_ID: of the newest inspections.")
@click.option("--stats", is_flag=True, help="Show how the shares in the log went over time, and whether they drift.")
@click.option("--since", type=Instant(), help="With --log or --stats: only from then on, a span (2h, 7d) or an instant (UTC).")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="With --log: at most so many inspections.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    what: str | None,
    *,
    product: str | None,
    lot: str | None,
    at: datetime | None,
    html: bool,
    out: Path | None,
    as_json: bool,
    into_log: bool,
    stats: bool,
    since: datetime | None,
    limit: int,
) -> None:
    """Judge a PICTURE anew, or the kept picture of INSPECTION_ID, and show what the verdict looked at.

    Prints verdict, model and its files' hashes, timings, probabilities and, for the picture, each report and the prompt's words, the share
    in what the verdict took in and the pull towards its label. With --log they go into the log; --stats follows the shares over time.
    """
    settings = read_station(root / "calibration" / station)
    _refuse_mixed(what, is_about_many=stats or what is None, one_only=(product, lot, at, html or None), stats=stats, into_log=into_log)
    if stats:
        show_stats(root, settings, since, out, as_json=as_json)
    elif what is None:
        log_newest(root, settings, since, limit)
    else:
        _trace_one(root, settings, what, (product, lot, at), into_log=into_log, html=html, out=out, as_json=as_json)


def _refuse_mixed(what: str | None, *, is_about_many: bool, one_only: tuple[object, ...], stats: bool, into_log: bool) -> None:
    """Raise ``click.UsageError`` where options do not go together."""
    if stats and (what is not None or into_log):
        raise click.UsageError("--stats reads what is in the log: leave PICTURE, INSPECTION_ID and --log out")
    if what is None and not (stats or into_log):
        raise click.UsageError("name a PICTURE or an INSPECTION_ID, or give --log (trace the newest inspections) or --stats")
    if is_about_many and any(value is not None for value in one_only):
        raise click.UsageError("--product, --lot, --at and --html go with a PICTURE or an INSPECTION_ID")


def _trace_one(
    root: Path,
    settings: StationSettings,
    what: str,
    overrides: tuple[str | None, str | None, datetime | None],
    *,
    into_log: bool,
    html: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Trace one picture and show it."""
    product, lot, at = overrides
    frame, logged = frame_of(root, settings, what)
    if into_log and (logged is None or any(value is not None for value in overrides)):
        raise click.UsageError("--log goes with an INSPECTION_ID as it was logged: leave --product, --lot and --at out")
    frame = replace(frame, product=product or frame.product, lot=lot or frame.lot)
    frame = replace(frame, recorded_at=at.replace(tzinfo=UTC)) if at else frame
    with open_tracing(root, settings) as tracing:
        judged, regions = tracing.trace(frame)
        facts = _facts(judged, logged, regions, tracing.checkpoint)
    if as_json:
        click.echo(json.dumps({**facts, "regions": [region.to_dict() for region in regions]}, ensure_ascii=False))
    else:
        _tell(facts, regions)
    if into_log and logged is not None:
        from inspector.edge.traces import Traces  # noqa: PLC0415 - quick --help

        with Traces(log_of(root, settings, "{path}: the log is gone"), settings.name) as traces:
            traces.write(rows_of(logged, judged, regions))
        click.echo(f"in the log: inspector trace {settings.name} --stats", err=as_json)
    if html or out:
        page = _written(
            out or root / "var" / settings.name / "trace" / f"{Path(what).stem}.html", f"{settings.name}: {Path(what).name}", facts, regions
        )
        click.echo(f"page: {page}", err=as_json)


def _facts(judged: "Inspection", logged: "Inspection | None", regions: "list[TracedRegion]", checkpoint: "AnyCheckpoint") -> dict[str, str]:
    """Return what stands on top of a trace."""
    from inspector.vlm.opening import weight_hashes  # noqa: PLC0415 - quick --help

    facts = {
        "verdict": f"{judged.verdict.disposition}: {judged.verdict.reason}",
        "model": judged.model,
        "sha256": ", ".join(f"{name} {digest[:16]}" for name, digest in weight_hashes(checkpoint).items()),
        "reports": ", ".join(judged.report_ids) or "none",
        "milliseconds": ", ".join(f"{stage} {spent:.1f}" for stage, spent in judged.timings_ms.items()),
        "layers": regions[0].trace.layers_in_words,
        "traced pass": f"differs by at most {max(region.trace.difference for region in regions):.1e} in a probability",
    }
    if logged is not None:
        facts["logged then"] = f"{logged.verdict.disposition}: {logged.verdict.reason} ({logged.model})"
        if logged.report_ids != judged.report_ids:
            facts["note"] = f"it had read other reports then: {', '.join(logged.report_ids) or 'none'}"
    return facts


def _tell(facts: dict[str, str], regions: "list[TracedRegion]") -> None:
    """Print a trace for people."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    console = Console()
    for key, value in facts.items():
        console.print(f"{key:<12} {escape(value)}", highlight=False)
    for region in regions:
        labels = Table("probability", "label", title=escape(region.prediction.region))
        for name, p in sorted(region.prediction.scores.items(), key=lambda item: -item[1]):
            labels.add_row(f"{p:.3f}", escape(name))
        console.print(labels)
        console.print(_taken(region))


def _taken(region: "TracedRegion") -> "Table":
    """Return what the verdict token took in, as a table."""
    from rich.markup import escape  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    trace, name = region.trace, region.prediction.region
    table = Table(
        "share", f"pull to {escape(region.prediction.label)}", "", "what", title=escape(f"{name}: what the verdict token took in")
    )
    for key, share in trace.shares.items():
        table.add_row(f"{share:.3f}", f"{trace.pulls_by_kind[key]:+.3f}", "all", key, style="bold")
    for row in region.reports():
        table.add_row(f"{row.share:.3f}", f"{row.pull:+.3f}", "report", escape(f"{row.written_at} {row.report_id}: {row.text}"))
    words = sorted(((float(trace.share[at]), float(trace.pull[at]), text) for at, text in trace.words.items()), reverse=True)
    for share, pull, text in words[:_WORDS_SHOWN]:
        table.add_row(f"{share:.3f}", f"{pull:+.3f}", "word", escape(repr(text)))
    table.caption = trace.odds_in_words
    return table


def _written(path: Path, title: str, facts: dict[str, str], regions: "list[TracedRegion]") -> Path:
    """Write the page, or the pictures of the regions one below the other."""
    import cv2  # noqa: PLC0415 - quick --help

    from inspector.training.trace_page import side_by_side, trace_page  # noqa: PLC0415 - as above

    data = trace_page(title, facts, regions).encode()
    if path.suffix in {".png", ".jpg"}:
        pictures = [side_by_side(region) for region in regions]
        width = max(picture.shape[1] for picture in pictures)
        padded = [cv2.copyMakeBorder(p, 0, 0, 0, width - p.shape[1], cv2.BORDER_CONSTANT) for p in pictures]
        data = cv2.imencode(path.suffix, cv2.vconcat(padded))[1].tobytes()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise InspectorError(f"{path}: cannot be written: {error.strerror}") from error
    return path
