"""``inspector trace --log`` and ``--stats``: shares of attention into the log, and how they went over time."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.traced import log_of, logged_frame, open_tracing, rows_of
from inspector.core.attention import LEAST, SHARES, Attention, Drift, drift_of
from inspector.errors import CameraError, InspectorError, LogError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from rich.table import Table

_PERIODS = 14
"""Days, or hours of a single day, that the table shows."""


def log_newest(root: Path, settings: StationSettings, since: datetime | None, limit: int) -> None:
    """Trace the newest inspections with a kept picture that this model has not traced yet, and write each into the log at once."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.edge.log import Log  # noqa: PLC0415 - as above
    from inspector.edge.traces import Traces  # noqa: PLC0415 - as above

    path = log_of(root, settings, f"{{path}}: station {settings.name} has no log yet; it begins with the first start")
    skipped = list[str]()
    with (
        Traces(path, settings.name) as traces,
        Log(path, settings.name, read_only=True) as log,
        open_tracing(root, settings) as tracing,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        wanted = traces.untraced(tracing.pipeline.predictor.name, limit, since)
        for inspection_id in progress.track(wanted, description=f"tracing {len(wanted)} inspections"):
            try:
                frame, logged = logged_frame(settings, log, inspection_id)
                judged, regions = tracing.trace(frame)
            except (LogError, CameraError) as error:
                skipped.append(str(error))
                continue
            traces.write(rows_of(logged, judged, regions))
    click.echo(f"{len(wanted) - len(skipped)} inspections traced into the log; inspector trace {settings.name} --stats shows how they went")
    if skipped:
        click.echo(f"{len(skipped)} left out, such as {skipped[0]}")
    if not wanted:
        click.echo('there was nothing to trace: log.keep_images = "all" keeps the pictures that this needs')


def show_stats(root: Path, settings: StationSettings, since: datetime | None, out: Path | None, *, as_json: bool) -> None:
    """Show the shares over time, product by product, with a word on their drift and a picture."""
    from inspector.edge.traces import Traces  # noqa: PLC0415 - quick --help

    path = log_of(root, settings, f"{{path}}: station {settings.name} has no log yet; it begins with the first start")
    with Traces(path, settings.name, read_only=True) as traces:
        found = traces.read(since)
    if not found:
        raise InspectorError(f"{path}: no traces; inspector trace {settings.name} --log traces the newest inspections with a kept picture")
    model = found[-1].model
    others = Counter(one.model for one in found if one.model != model)
    by_product: dict[str, list[Attention]] = {}
    for one in found:
        if one.model == model:
            by_product.setdefault(one.product, []).append(one)
    drifts = {product: _drifts(rows) for product, rows in by_product.items()}
    picture = _drawn(out or root / "var" / settings.name / "trace" / "stats.png", by_product, drifts, f"{settings.name}, {model}")
    if as_json:
        click.echo(json.dumps(_document(model, others, by_product, drifts), ensure_ascii=False))
    else:
        _tell(model, others, by_product, drifts)
    click.echo(f"picture: {picture}", err=as_json)


def _drifts(rows: Sequence[Attention]) -> dict[str, Drift]:
    """Return how each share stands."""
    labels = [one.label for one in rows]
    return {name: drift_of([one.shares[name] for one in rows], labels) for name in SHARES}


def _tell(
    model: str, others: Mapping[str, int], by_product: Mapping[str, Sequence[Attention]], drifts: Mapping[str, Mapping[str, Drift]]
) -> None:
    """Print the tables and the words."""
    from rich.console import Console  # noqa: PLC0415 - quick --help

    console = Console()
    console.print(f"model {model}", highlight=False)
    for other, count in others.items():
        console.print(f"note: {count} traces of {other} are left out: shares of two models cannot be compared", highlight=False)
    for product, rows in by_product.items():
        console.print(_table(product, rows))
        for name, drift in drifts[product].items():
            console.print(_word(name, drift), highlight=False, soft_wrap=True)


def _table(product: str, rows: Sequence[Attention]) -> "Table":
    """Return mean shares by day, or by hour of a single day."""
    from rich.markup import escape  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    days = {f"{one.captured_at:%Y-%m-%d}" for one in rows}
    form = "%Y-%m-%d" if len(days) > 1 else "%Y-%m-%d %H:00"
    periods: dict[str, list[Attention]] = {}
    for one in rows:
        periods.setdefault(f"{one.captured_at:{form}}", []).append(one)
    table = Table("captured (UTC)", "regions", *SHARES, "reports read", title=escape(f"{product}: where the verdicts looked"))
    for period, members in list(periods.items())[-_PERIODS:]:
        means = [sum(one.shares[name] for one in members) / len(members) for name in SHARES]
        read = sum(len(one.reports) for one in members) / len(members)
        table.add_row(period, str(len(members)), *(f"{mean:.3f}" for mean in means), f"{read:.1f}")
    return table


def _word(name: str, drift: Drift) -> str:
    """Return one share's outcome as a line."""
    if drift.word == "too few":
        return (
            f"{name}: too few traces to say ({drift.earlier} before, {drift.recent} newest with labels seen before; {LEAST} of each needed)"
        )
    line = f"{name}: {drift.word} ({drift.before:.3f} before, {drift.now:.3f} in the newest {drift.recent})"
    return line if drift.word == "steady" else f"{line}; look whether camera, light, reports or parts have changed"


def _document(
    model: str, others: Mapping[str, int], by_product: Mapping[str, Sequence[Attention]], drifts: Mapping[str, Mapping[str, Drift]]
) -> dict[str, object]:
    """Return everything for JSON."""
    return {
        "model": model,
        "other_models": dict(others),
        "products": {
            product: {
                "regions": len(rows),
                "drift": {
                    name: {
                        "word": drift.word,
                        "before": None if drift.recent == 0 else round(drift.before, 5),
                        "now": None if drift.recent == 0 else round(drift.now, 5),
                        "earlier": drift.earlier,
                        "recent": drift.recent,
                    }
                    for name, drift in drifts[product].items()
                },
            }
            for product, rows in by_product.items()
        },
    }


def _drawn(path: Path, by_product: Mapping[str, Sequence[Attention]], drifts: Mapping[str, Mapping[str, Drift]], title: str) -> Path:
    """Write the picture. Raises ``InspectorError`` if it cannot be."""
    from inspector.training.attention_figure import draw_attention  # noqa: PLC0415 - quick --help

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_attention(path, by_product, drifts, title)
    except (OSError, ValueError) as error:  # matplotlib names an unknown ending in a ValueError
        raise InspectorError(f"{path}: cannot be written: {error}; choose a name that ends in .png") from error
    return path
