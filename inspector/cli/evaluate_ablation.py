"""``inspector evaluate --ablate reports``: what the historical reports are worth to a station's verdicts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.evaluate import rate_cells
from inspector.errors import InspectorError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.training.ablation import Ablation
    from inspector.training.measures import Rate
    from inspector.training.picture import Picture

_MEANING = {
    "on": "the reports that the station finds",
    "off": "no reports",
    "shuffled": "those of another part, position or lot",
    "foreign": "notes about other machines",
}


def evaluate_ablation(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", folder: Path, *, as_json: bool
) -> None:
    """Judge four times, print and write what came of it. Raises ``InspectorError`` where the station judges without reports."""
    if not settings.reports.max_reports:
        raise InspectorError(f"{settings.folder / 'station.toml'}: reports.max_reports = 0, there is nothing to take away; set it to 4")
    found = _ablated(settings, root, product, pictures)
    document = {"station": settings.name, "product": product, "n": len(pictures), **found.to_dict()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ablation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document))
        return
    _tell(found, product, len(pictures))
    click.echo(f"numbers: {folder / 'ablation.json'}")


def _ablated(settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]") -> "Ablation":
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.ablation import CASES, ablate, foreign_answer  # noqa: PLC0415 - as above
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    foreign = foreign_answer(open_encoder(settings.encoder, root / "models").encode, settings.reports.max_reports)
    with open_judge(settings, root) as pipeline, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"judging {len(pictures)} pictures four times", total=len(CASES) * len(pictures))
        return ablate(pipeline, product, pictures, settings.name, foreign, tell=lambda: progress.advance(task))


def _tell(found: "Ablation", product: str, count: int) -> None:
    """Print the four cases as a table."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    title = f"{product}: {count} pictures, reports found for {found.with_reports}, {found.ambiguous} in doubt without reports"
    table = Table("reports", "accuracy", "macro-F1", "ECE", "accuracy against off", "wrong in doubt", title=title)
    for case, measures in found.measures.items():
        gain = "" if case == "off" else _with_interval(found.against_off[case])
        f1 = rate_cells(measures.macro_f1)[0]
        table.add_row(case, _with_interval(measures.accuracy), f1, f"{measures.ece:.3f}", gain, str(found.ambiguous_errors[case]))
    console = Console()
    console.print(table)
    for case, meaning in _MEANING.items():
        console.print(f"  {case}: {meaning}", highlight=False)
    if not found.with_reports:
        console.print(
            "note: the station found no report for any of these pictures: import them with inspector reports import", highlight=False
        )


def _with_interval(rate: "Rate") -> str:
    value, interval = rate_cells(rate)
    return f"{value} ({interval})" if interval else value
