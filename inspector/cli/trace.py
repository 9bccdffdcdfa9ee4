"""``inspector trace``: why this verdict? What it looked at, of a picture file or of a logged inspection whose picture was kept."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.errors import CheckpointError, InspectorError, LogError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from inspector.core.frame import Frame
    from inspector.core.inspection import Inspection
    from inspector.training.trace_page import TracedRegion

_WORDS_SHOWN = 6


@click.command
@click.argument("station")
@click.argument("what", metavar="PICTURE|INSPECTION_ID")
@click.option("--product", help="Product in view. Default: the station's; of an inspection its own.")
@click.option("--lot", help="Lot, position or batch; reports are looked up by it. Of an inspection its own.")
@click.option(
    "--at", type=click.DateTime(), help="Judge with the history as of this instant (UTC). Default: now; of an inspection its own."
)
@click.option("--html", is_flag=True, help="Write a page with the picture, what was looked at in it, and bars.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where it goes: a page, or with .png or .jpg the picture alone."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the weights of every layer and head.")
@click.pass_obj
def command(
    root: Path,
    station: str,
    what: str,
    product: str | None,
    lot: str | None,
    at: datetime | None,
    html: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Judge a PICTURE anew, or the kept picture of INSPECTION_ID, and show what the verdict looked at.

    Prints verdict, model, probabilities and the share of attention that went to the picture, to each report and to the prompt's words. For
    inspector-edge; a full MiniCPM-V is not traced.
    """
    settings = read_station(root / "calibration" / station)
    frame, logged = _frame(root, settings, what)
    frame = replace(frame, product=product or frame.product, lot=lot or frame.lot)
    frame = replace(frame, recorded_at=at.replace(tzinfo=UTC)) if at else frame
    judged, regions = _traced(root, settings, frame)
    facts = _facts(judged, logged, regions)
    if as_json:
        click.echo(json.dumps({**facts, "regions": [region.to_dict() for region in regions]}, ensure_ascii=False))
    else:
        _tell(facts, regions)
    if html or out:
        page = _written(
            out or root / "var" / station / "trace" / f"{Path(what).stem}.html", f"{station}: {Path(what).name}", facts, regions
        )
        click.echo(f"page: {page}", err=as_json)


def _frame(root: Path, settings: StationSettings, what: str) -> "tuple[Frame, Inspection | None]":
    """Return the frame to judge and the logged inspection that it stands for, if any."""
    from inspector.core.frame import Frame  # noqa: PLC0415 - quick --help
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above
    from inspector.edge.log import Log, database_path  # noqa: PLC0415 - as above

    if Path(what).is_file():
        image = read_image(Path(what), max_pixels=settings.quality.max_pixels)
        return Frame(settings.name, "file", Path(what).name, datetime.now(UTC), time.monotonic_ns(), image, source=what), None
    path = database_path(settings, root)
    if not path.is_file():
        raise LogError(f"{what}: no such file, and {path} is not there to look for an inspection of that id")
    with Log(path, settings.name, read_only=True) as log:
        logged = log.get(what)
    if logged is None:
        raise LogError(f"{what}: neither a picture file nor an inspection in {path}; inspector log {settings.name} lists them")
    if logged.image_path is None or not (path.parent / logged.image_path).is_file():
        raise LogError(f"{what}: its picture was not kept, or is gone by now; log.keep_images and log.keep_image_days say which are kept")
    image = read_image(path.parent / logged.image_path, max_pixels=settings.quality.max_pixels)
    return Frame(
        settings.name, logged.camera, logged.frame_id, logged.captured_at, time.monotonic_ns(), image,
        product=logged.product, lot=logged.lot, part_id=logged.part_id, recorded_at=logged.captured_at, source=logged.source,
    ), logged  # fmt: skip


def _traced(root: Path, settings: StationSettings, frame: "Frame") -> "tuple[Inspection, list[TracedRegion]]":
    """Judge the frame as the station would and trace each region."""
    from inspector.daemon import open_judge  # noqa: PLC0415 - quick --help
    from inspector.training.trace import Tracer, Watched  # noqa: PLC0415 - as above
    from inspector.training.trace_page import TracedRegion  # noqa: PLC0415 - as above
    from inspector.vlm.checkpoint import Checkpoint  # noqa: PLC0415 - as above
    from inspector.vlm.opening import open_any  # noqa: PLC0415 - as above

    checkpoint = open_any(root / "models" / settings.model.checkpoint, settings.model)
    if not isinstance(checkpoint, Checkpoint):
        raise CheckpointError(
            f"{checkpoint.name}: a full MiniCPM-V is not traced; set model.checkpoint to an inspector-edge to trace its verdicts"
        )
    with open_judge(settings, root) as pipeline:
        watched = Watched(pipeline.predictor)
        judged = replace(pipeline, predictor=watched).inspect([frame])[0]
    if judged.verdict.fault:
        raise InspectorError(f"{frame.frame_id}: nothing was judged, so nothing was looked at: {judged.verdict.reason}")
    tracer = Tracer(checkpoint)
    return judged, [TracedRegion(*seen, tracer.trace(*seen)) for seen in watched.seen]


def _facts(judged: "Inspection", logged: "Inspection | None", regions: "list[TracedRegion]") -> dict[str, str]:
    """Return what stands on top of a trace."""
    facts = {
        "verdict": f"{judged.verdict.disposition}: {judged.verdict.reason}",
        "model": judged.model,
        "reports": ", ".join(judged.report_ids) or "none",
        "milliseconds": ", ".join(f"{stage} {spent:.1f}" for stage, spent in judged.timings_ms.items()),
        "torch copy": f"differs by at most {max(region.trace.difference for region in regions):.1e} in a probability",
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
        table = Table("share", "", "what", title=escape(f"{region.prediction.region}: what the verdict token looked at"))
        layers = region.trace.by_layer()
        for key in ("picture", "reports", "words"):
            table.add_row(f"{sum(row[key] for row in layers) / len(layers):.3f}", "all", key, style="bold")
        for share, report_id, written_at, text in region.reports():
            table.add_row(f"{share:.3f}", "report", escape(f"{written_at} {report_id}: {text}"))
        words = sorted(((float(region.trace.mean[at]), text) for at, text in region.trace.words.items()), reverse=True)
        for share, text in words[:_WORDS_SHOWN]:
            table.add_row(f"{share:.3f}", "word", escape(repr(text)))
        console.print(table)


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
