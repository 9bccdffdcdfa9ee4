"""``inspector evaluate --attention``: does a report that tells something weigh more than one that does not?"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from inspector.cli.evaluate import FEW_GROUPS, rate_cells
from inspector.cli.traced import OpenTracing, log_of, open_tracing
from inspector.errors import InspectorError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inspector.core.report import Report
    from inspector.training.picture import Picture
    from inspector.training.report_attention import Compared, Look, Measure, Preference

_MEANING = {"foreign": "a note about another machine", "contrary": "a report about the product that names another label"}


def evaluate_attention(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", folder: Path, *, as_json: bool
) -> None:
    """Trace the pictures beside pairs of reports, print and write what came of it. Raises ``InspectorError`` without reports."""
    found, model = _compared(settings, root, product, pictures)
    document = {"station": settings.name, "product": product, "model": model, "pictures": len(pictures)}
    document |= {case: {measure: one.to_dict() for measure, one in measures.items()} for case, measures in found.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attention.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document))
        return
    _tell(found, f"{product}: {len(pictures)} pictures, {model}")
    click.echo(f"numbers: {folder / 'attention.json'}")


def _compared(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]") -> "tuple[Compared, str]":
    """Trace every picture four times, with progress on stderr."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.edge.reports import ReportStore  # noqa: PLC0415 - as above
    from inspector.training.report_attention import compare_reports  # noqa: PLC0415 - as above
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    encoder = open_encoder(settings.encoder, root / "models")
    path = log_of(root, settings, f"{{path}}: no reports are stored yet; inspector reports import {settings.name} FILE")
    store = ReportStore(path, encoder.encode, encoder.revision, settings.reports, {})
    try:
        history = store.newest(product, limit=store.count())
    finally:
        store.close()
    with open_tracing(root, settings) as tracing, Progress(console=Console(stderr=True), transient=True) as progress:
        if not tracing.checkpoint.encoder:
            raise InspectorError(f"{tracing.checkpoint.name} reads no reports: it has no report projector (docs/full-model.md)")
        look = _look(settings, tracing, product, encoder.encode)
        task = progress.add_task(f"tracing {len(pictures)} pictures", total=len(pictures))
        found = compare_reports(look, pictures, history, tell=lambda: progress.advance(task))
        return found, tracing.pipeline.predictor.name


def _look(settings: StationSettings, tracing: OpenTracing, product: str, encode: "Callable[[list[str]], NDArray[np.float32]]") -> "Look":
    """Return what judges a picture beside given reports and says what each of them weighs, mean over regions."""
    from inspector.training.judged import as_frame  # noqa: PLC0415 - quick --help
    from inspector.training.report_attention import GivenReports  # noqa: PLC0415 - as above

    def look(picture: "Picture", reports: "tuple[Report, ...]") -> "Mapping[Measure, NDArray[np.float32]]":
        given = GivenReports(reports, encode([report.text for report in reports]))
        _, regions = replace(tracing, pipeline=replace(tracing.pipeline, reports=given)).trace(as_frame(picture, product, settings.name))
        traces = [region.trace for region in regions]
        return {
            "weight": np.mean([trace.weight[trace.reports_at] for trace in traces], axis=0),
            "share": np.mean([trace.reports for trace in traces], axis=0),
            "pull": np.mean([trace.report_pulls for trace in traces], axis=0),
        }

    return look


def _tell(found: "Compared", title: str) -> None:
    """Print both cases and all measures as a table, and a word on each."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table("telling report against", "by", "compared", "preference", "95 % interval", "got more", "it got", "the other", title=title)
    for case, measures in found.items():
        for measure, one in measures.items():
            more = rate_cells(one.more)[0]
            table.add_row(case, measure, str(one.n), *rate_cells(one.preference), more, f"{one.telling:+.4f}", f"{one.other:+.4f}")
            for label, rate in one.per_label.items():
                table.add_row("", f"  {label}", "", *rate_cells(rate))
    console = Console()
    console.print(table)
    console.print(
        "preference: the telling report's part of what both get; of a pull, in how many pictures it pulls more (.5: none)", highlight=False
    )
    for case, measures in found.items():
        outcomes = "; ".join(f"{measure}: {_outcome(one)}" for measure, one in measures.items())
        console.print(f"  {case}: {_MEANING[case]}: {outcomes}", highlight=False, soft_wrap=True)
        one = measures["share"]
        if one.n and one.groups < FEW_GROUPS:
            console.print(f"  note: {one.groups} groups are few: another part may give quite other numbers", highlight=False)


def _outcome(one: "Preference") -> str:
    """Return the outcome in words."""
    if not one.n:
        return "nothing to compare: no picture has a report of its lot, from before it was taken, that names its label"
    if one.holds:
        return "the telling report gets more"
    return "the other report gets more" if one.preference.high < 0.5 else "no preference beyond the interval"
