"""``inspector evaluate``: what a station's verdicts are worth, measured on labelled pictures that it has not learnt from."""

import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from inspector.cli.calibrate_decision import known_product
from inspector.cli.data_options import DataChoice, data_options
from inspector.errors import InspectorError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inspector.training.judged import Judged
    from inspector.training.labelled_folder import Labelled
    from inspector.training.measures import Measures, Rate
    from inspector.training.picture import Picture

FEW_GROUPS = 20
"""Below so many parts the intervals themselves are shaky."""


@click.command
@click.argument("station")
@data_options()
@click.option("--split", type=click.Choice(("val", "test")), default="val", show_default=True, help="Which pictures.")
@click.option("--product", help="Product of the pictures. Default: the station's.")
@click.option("--no-reports", is_flag=True, help="Judge without the historical reports.")
@click.option(
    "--ablate",
    type=click.Choice(("reports",)),
    help="Judge four times: with the reports, without, with another part's, with another product's; say what they are worth.",
)
@click.option("--simulate-lots", is_flag=True, help="With --ablate: reports are written about made-up lots whose true labels are known.")
@click.option("--attention", is_flag=True, help="Trace instead: does a telling report weigh more than one that says nothing of it?")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for page and pictures. Default: var/STATION/evaluate."
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document alone.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    *,
    data: DataChoice,
    split: Literal["val", "test"],
    product: str | None,
    no_reports: bool,
    ablate: str | None,
    simulate_lots: bool,
    attention: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Judge labelled pictures as STATION would and say how often it is right, with 95 % intervals over groups.

    Writes evaluation.html, its pictures and evaluation.json. Thresholds are those in force; escapes and false rejects are counted at them.
    """
    from inspector.training.evaluation import write_evaluation  # noqa: PLC0415 - quick --help

    settings = read_station(root / "calibration" / station)
    product, folder = known_product(settings, product), out or root / "var" / station / "evaluate"
    labelled = data.read(settings.products[product].label_set(), split=split, needed=())
    if not labelled.pictures:
        raise InspectorError(f"{data.folder}: no picture to evaluate with in {split}; docs/data.md shows how folders are laid out")
    if simulate_lots and ablate is None:
        raise click.UsageError("--simulate-lots belongs to --ablate reports; give both or none")
    if ablate is not None or attention:
        if no_reports or (ablate is not None and attention):
            raise click.UsageError("--ablate reports and --attention choose the reports themselves: give one of them, without --no-reports")
        measured = _about_reports(ablate, simulate=simulate_lots)
        measured(settings, root, product, labelled.pictures, folder, as_json=as_json)
        return
    judged, model = _judged(settings, root, product, labelled.pictures, use_reports=not no_reports)
    facts = facts_of(settings, product, split, data, labelled, model, use_reports=not no_reports)
    measures, document = write_evaluation(folder, judged, facts)
    if as_json:
        click.echo(json.dumps(document))
        return
    tell(measures, facts)
    click.echo(f"page: {folder / 'evaluation.html'}")


def _about_reports(ablate: str | None, *, simulate: bool) -> "Callable[..., None]":
    """Return what is measured instead of the verdicts: the ablation of reports, or the attention that they get."""
    if ablate is not None:
        from inspector.cli.evaluate_ablation import evaluate_ablation  # noqa: PLC0415 - quick --help

        return functools.partial(evaluate_ablation, simulate=simulate)
    from inspector.cli.evaluate_attention import evaluate_attention  # noqa: PLC0415 - as above

    return evaluate_attention


def facts_of(
    settings: StationSettings, product: str, split: str, data: DataChoice, labelled: "Labelled", model: str, *, use_reports: bool = True
) -> dict[str, str]:
    """Return what an evaluation's page and document say of where their numbers come from."""
    return {
        "station": settings.name,
        "product": product,
        "split": split,
        "data": f"{data.folder.name} ({labelled.data_hash[:12]})",
        "reports": "on" if use_reports and settings.reports.max_reports else "off",
        "model": model,
        "evaluated_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _judged(
    settings: StationSettings, root: Path, product: str, pictures: "Sequence[Picture]", *, use_reports: bool
) -> "tuple[Judged, str]":
    """Judge with progress on stderr; return what was said and the model's name."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from inspector.daemon import open_judge  # noqa: PLC0415 - as above
    from inspector.training.judged import judge  # noqa: PLC0415 - as above

    with (
        open_judge(settings, root, use_reports=use_reports) as pipeline,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        for line in pipeline.notes:
            progress.console.print(f"note: {line}", highlight=False)
        task = progress.add_task(f"judging {len(pictures)} pictures", total=len(pictures))
        judged = judge(pipeline, product, pictures, settings.name, tell=lambda: progress.advance(task))
        return judged, pipeline.predictor.name


def tell(measures: "Measures", facts: dict[str, str]) -> None:
    """Print the numbers as tables."""
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.table import Table  # noqa: PLC0415 - as above

    console = Console()
    table = Table("", "value", "95 % interval", title=f"{facts['product']}, {measures.n} pictures of {measures.groups} groups")
    rates = {"accuracy": measures.accuracy, "macro-F1": measures.macro_f1, "escapes": measures.escapes}
    for name, rate in (rates | {"false rejects": measures.false_rejects, "reviews": measures.reviews}).items():
        table.add_row(name, *rate_cells(rate))
    table.add_row("ECE", f"{measures.ece:.3f}", "")
    console.print(table)
    labels = Table("label", "n", "found", "interval", "false alarms", "interval")
    for name, label in measures.per_label.items():
        labels.add_row(name, str(label.n), *rate_cells(label.recall), *rate_cells(label.false_alarms))
    console.print(labels)
    if measures.groups < FEW_GROUPS:
        console.print(f"note: {measures.groups} groups are few: another part may give quite other numbers", highlight=False)
    if measures.unjudged:
        console.print(f"{measures.unjudged} pictures could not be judged and went to review", highlight=False)


def rate_cells(rate: "Rate") -> tuple[str, str]:
    """Return a rate and its interval as text."""
    numbers = rate.to_dict()
    value, low = numbers["value"], numbers["low"]
    return ("-" if value is None else f"{value:.3f}", "" if low is None else f"{low:.3f} .. {rate.high:.3f}")
