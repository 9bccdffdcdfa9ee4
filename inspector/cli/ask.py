"""``inspector ask``: a question to a station's full MiniCPM-V, about a picture, a logged inspection or no picture at all."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.calibrate_decision import known_product
from inspector.cli.traced import frame_of, log_of
from inspector.core.reply import fields_for
from inspector.errors import CheckpointError, LogError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from inspector.core.frame import Frame
    from inspector.core.report import Report
    from inspector.edge.answer_payload import AnswerPayload
    from inspector.vlm.full_checkpoint import FullCheckpoint


@click.command
@click.argument("station")
@click.argument("question")
@click.option("--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Picture that the question is about.")
@click.option("--inspection", metavar="ID", help="Logged inspection that the question is about; its picture must have been kept.")
@click.option("--product", help="Product that is spoken of. Default: the station's; of an inspection its own.")
@click.option("--lot", help="Lot, position or batch; reports are looked up by it. Of an inspection its own.")
@click.option("--tokens", type=click.IntRange(0, 400), default=40, show_default=True, help="The sentence has at most so many tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of that object instead of asking.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    question: str,
    *,
    image: Path | None,
    inspection: str | None,
    product: str | None,
    lot: str | None,
    tokens: int,
    as_json: bool,
    schema: bool,
) -> None:
    """Ask STATION's full MiniCPM-V a QUESTION about a picture, a logged inspection, or about product and reports alone.

    The reply has fields, each one value of a closed list with its probability, and one free sentence. Neither is a verdict: nothing is
    logged, nothing is calibrated. Reports of the product stand in the text, so that no report projector is needed.
    """
    if image is not None and inspection is not None:
        raise click.UsageError("give --image or --inspection, not both")
    settings = read_station(root / "calibration" / station)
    checkpoint = _full_checkpoint(root, settings)
    what = str(image) if image is not None else inspection
    frame, _ = frame_of(root, settings, what) if what is not None else (None, None)
    product, lot = known_product(settings, product or (frame.product if frame else None)), lot or (frame.lot if frame else None)
    reports = _reports(root, settings, product, lot, frame)
    labels = settings.products[product].label_set()
    fields = fields_for(labels, has_picture=frame is not None, has_reports=bool(reports))
    from inspector.edge.answer_payload import answer_fields, answer_model  # noqa: PLC0415 - quick --help

    shape = answer_model(fields)
    if schema:
        click.echo(json.dumps(shape.model_json_schema(by_alias=True, mode="serialization"), indent=2, ensure_ascii=False))
        return
    from inspector.vlm.asking import AskedPredictor  # noqa: PLC0415 - torch for a full MiniCPM-V alone

    predictor = AskedPredictor(checkpoint, settings.model)
    known = _known(settings, product, reports)
    reply = predictor.ask(known, question, fields, image=None if frame is None else frame.image, tokens=tokens)
    answer = shape(
        station=station, model=predictor.name, product=product, question=question, picture=what, sentence=reply.sentence,
        reports=[report.report_id for report in reports], times_ms=dict(reply.timings_ms), fields=answer_fields(reply),
    )  # fmt: skip
    _tell(answer, as_json=as_json)


def _full_checkpoint(root: Path, settings: StationSettings) -> "FullCheckpoint":
    """Return the station's full checkpoint. Raises ``CheckpointError`` that says what to do with another one."""
    from inspector.vlm.full_checkpoint import FullCheckpoint  # noqa: PLC0415 - quick --help
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above

    checkpoint = open_any(root / "models" / settings.model.checkpoint, settings.model)
    if not isinstance(checkpoint, FullCheckpoint):
        raise CheckpointError(
            f"{settings.name} runs {checkpoint.name}, which answers with labels and reads no questions. For questions name a full"
            f' MiniCPM-V: inspector models pull openbmb/MiniCPM-V-4.6, then [model] checkpoint = "openbmb/MiniCPM-V-4.6" in'
            f" {settings.folder / 'station.toml'}, or in a second station's if this one is to keep its verdicts (docs/full-model.md)."
            f" What a verdict of {checkpoint.name} looked at: inspector trace {settings.name} PICTURE"
        )
    return checkpoint


def _reports(root: Path, settings: StationSettings, product: str, lot: str | None, frame: "Frame | None") -> "Sequence[Report]":
    """Return the reports that matter, as the station would choose them; none if there are none."""
    from inspector.edge.reports import ReportStore  # noqa: PLC0415 - quick --help
    from inspector.vlm.encoder import open_encoder  # noqa: PLC0415 - as above

    if not settings.reports.max_reports:
        return ()
    try:
        path = log_of(root, settings, "{path}: no log yet")
    except LogError:
        return ()
    encoder = open_encoder(settings.encoder, root / "models")
    descriptions = {name: section.description or name for name, section in settings.products.items()}
    store = ReportStore(path, encoder.encode, encoder.revision, settings.reports, descriptions)
    try:
        store.embed_missing()
        return store.relevant(product, settings.name, lot, frame.history_at if frame else datetime.now(UTC))[0]
    finally:
        store.close()


def _known(settings: StationSettings, product: str, reports: "Sequence[Report]") -> str:
    """Return what the model is told first."""
    section = settings.products[product]
    labels = section.label_set()
    names = ", ".join(labels.spoken(name) for name in labels.names)
    written = "".join(f"\n- {report.written_at:%Y-%m-%d}: {report.text}" for report in reports) or " none"
    return f"Product: {section.description or product}. Labels: {names}. Reports:{written}\n"


def _tell(answer: "AnswerPayload", *, as_json: bool) -> None:
    """Print the reply."""
    if as_json:
        click.echo(answer.to_json())
        return
    from rich.console import Console  # noqa: PLC0415 - quick --help
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    console, table = Console(), Table("field", "value", "probability", "next")
    for name, field in answer.model_dump()["fields"].items():
        ranked = sorted(field["scores"].items(), key=lambda item: -item[1])
        following = f"{ranked[1][0]} {ranked[1][1]:.3f}" if len(ranked) > 1 else ""
        table.add_row(name, escape(field["value"]), f"{ranked[0][1]:.3f}", escape(following))
    console.print(f"{answer.model}, reports: {', '.join(answer.reports) or 'none'}", highlight=False)
    console.print(table)
    console.print(escape(f"sentence: {answer.sentence or '(nothing)'}"), highlight=False)
    console.print("no verdict: neither fields nor sentence are calibrated, and nothing is logged", highlight=False)
