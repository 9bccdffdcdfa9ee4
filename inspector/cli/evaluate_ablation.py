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
    from inspector.training.simulated_lots import Lots

_MEANING = {
    "on": "the reports that the station finds",
    "off": "no reports",
    "shuffled": "those of another part, position or lot",
    "foreign": "notes about other machines",
}


def evaluate_ablation(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", folder: Path, *, simulate: bool, as_json: bool
) -> None:
    """Judge four times, print and write what came of it. Raises ``InspectorError`` where the station judges without reports."""
    if not settings.reports.max_reports:
        raise InspectorError(f"{settings.folder / 'station.toml'}: reports.max_reports = 0, there is nothing to take away; set it to 4")
    found, alone = _ablated(settings, root, product, pictures, simulate=simulate)
    document = {"station": settings.name, "product": product, "n": len(pictures), "simulated_lots": simulate, **found.to_dict()}
    if alone is not None:
        document["reports_only"] = {"accuracy": alone[0], "bound": alone[1]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ablation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(document))
        return
    _tell(found, product, len(pictures))
    if alone is not None:
        click.echo(f"from the reports alone, without pictures: {alone[0]:.3f} right; their true labels allow {alone[1]:.3f} at most")
    click.echo(f"numbers: {folder / 'ablation.json'}")


def _ablated(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", *, simulate: bool
) -> "tuple[Ablation, tuple[float, float] | None]":
    """Return the four cases and, of made-up lots, accuracy from the reports alone beside what Bayes' rule makes of their true labels."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.ablation import CASES, ablate, foreign_answer  # noqa: PLC0415 - as above
    from inspector.training.simulated_lots import simulate_lots  # noqa: PLC0415 - as above
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    encode, labels = open_encoder(settings.encoder, root / "models").encode, settings.products[product].label_set()
    foreign = foreign_answer(encode, settings.reports.max_reports)
    lots = simulate_lots(pictures, labels, settings.reports.max_reports, encode) if simulate else None
    with open_judge(settings, root) as pipeline, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"judging {len(pictures)} pictures four times", total=len(CASES) * len(pictures))
        found = ablate(pipeline, product, pictures, settings.name, foreign, lambda: progress.advance(task), lots=lots)
    return found, None if lots is None else _reports_alone(settings, root, product, pictures, lots)


def _reports_alone(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", lots: "Lots"
) -> "tuple[float, float] | None":
    """Return the share of labels that the reports alone get right, and the bound; None for a full model, which is not asked this way."""
    from inspector.training.blind import answers_of_reports  # noqa: PLC0415 - quick --help
    from inspector.vlm.checkpoint import open_checkpoint  # noqa: PLC0415 - as above
    from inspector.vlm.full_checkpoint import is_full  # noqa: PLC0415 - as above

    folder, section = root / "models" / settings.model.checkpoint, settings.products[product]
    if is_full(folder):
        return None
    labels = section.label_set()
    truths = [labels.names.index(picture.label) for picture in pictures]
    answers = answers_of_reports(open_checkpoint(folder), section.description or product, labels, lots)
    right, bound = (sum(int(one) == true for one, true in zip(said, truths, strict=True)) for said in (answers, lots.priors.argmax(1)))
    return right / len(truths), bound / len(truths)


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
    if found.oracle_errors is not None:
        table.add_row("Bayes' rule with the lots' true labels", *[""] * 4, str(found.oracle_errors))
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
