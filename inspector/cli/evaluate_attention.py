"""``inspector evaluate --attention``: does a report that tells something get more attention than one that does not?"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from inspector.cli.evaluate import FEW_GROUPS, rate_cells
from inspector.cli.traced import log_of, open_tracing
from inspector.errors import InspectorError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.training.picture import Picture
    from inspector.training.report_attention import Case, Preference

_MEANING = {"foreign": "a note about another machine", "contrary": "a report about the product that names another label"}


def evaluate_attention(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", folder: Path, *, as_json: bool
) -> None:
    """Trace the pictures beside pairs of reports, print and write what came of it. Raises ``InspectorError`` without reports."""
    found, model = _compared(settings, root, product, pictures)
    document = {"station": settings.name, "product": product, "model": model, "pictures": len(pictures)}
    document |= {case: preference.to_dict() for case, preference in found.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attention.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document))
        return
    _tell(found, f"{product}: {len(pictures)} pictures, {model}")
    click.echo(f"numbers: {folder / 'attention.json'}")


def _compared(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]") -> "tuple[dict[Case, Preference], str]":
    """Trace every picture four times, with progress on stderr."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.core.report import Report  # noqa: PLC0415 - as above
    from inspector.edge.reports import ReportStore  # noqa: PLC0415 - as above
    from inspector.training.judged import as_frame  # noqa: PLC0415 - as above
    from inspector.training.report_attention import GivenReports, compare_reports  # noqa: PLC0415 - as above
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

        def look(picture: "Picture", reports: tuple[Report, ...]) -> NDArray[np.float32]:
            given = GivenReports(reports, encoder.encode([report.text for report in reports]))
            _, regions = replace(tracing, pipeline=replace(tracing.pipeline, reports=given)).trace(
                as_frame(picture, product, settings.name)
            )
            return np.asarray(np.mean([region.trace.reports for region in regions], axis=0), np.float32)

        task = progress.add_task(f"tracing {len(pictures)} pictures", total=len(pictures))
        found = compare_reports(look, pictures, history, tell=lambda: progress.advance(task))
        return found, tracing.pipeline.predictor.name


def _tell(found: "dict[Case, Preference]", title: str) -> None:
    """Print both cases as a table, and a word on each."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(
        "telling report against", "compared", "its part of both", "95 % interval", "got more", "its share", "the other's", title=title
    )
    for case, one in found.items():
        more = rate_cells(one.more)[0]
        table.add_row(case, str(one.n), *rate_cells(one.preference), more, f"{one.telling:.4f}", f"{one.other:.4f}")
        for label, rate in one.per_label.items():
            table.add_row(f"  {label}", "", *rate_cells(rate))
    console = Console()
    console.print(table)
    console.print("part: of the attention that both reports get; more: share of pictures in which it gets more", highlight=False)
    for case, one in found.items():
        console.print(f"  {case}: {_MEANING[case]}: {_outcome(one)}", highlight=False, soft_wrap=True)
        if one.n and one.groups < FEW_GROUPS:
            console.print(f"  note: {one.groups} groups are few: another part may give quite other numbers", highlight=False)


def _outcome(one: "Preference") -> str:
    """Return the outcome in words."""
    if not one.n:
        return "nothing to compare: no picture has a report of its lot, from before it was taken, that names its label"
    if one.holds:
        return "the telling report gets more"
    return "the other report gets more" if one.preference.high < 0.5 else "no preference beyond the interval"
