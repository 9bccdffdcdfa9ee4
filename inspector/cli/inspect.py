"""``inspector inspect``: judge picture files and print one JSON line for each, without camera, log or broker."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from inspector.core.frame import Frame
    from inspector.core.inspection import Inspection
    from inspector.pipeline import Pipeline


@click.command
@click.argument("station")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--product", help="Product in view. Default: the station's.")
@click.option("--lot", help="Lot, position or batch; reports are looked up by it.")
@click.option("--part-id", help="Serial number of the part.")
@click.option("--at", type=click.DateTime(), help="Judge with the history as of this instant (UTC). Default: now.")
@click.option("--no-reports", is_flag=True, help="Judge by the picture alone.")
@click.option(
    "--heat-map",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw into this .png or .jpg what speaks for the verdict (one IMAGE).",
)
@click.pass_obj
def command(
    root: Path,
    station: str,
    images: tuple[Path, ...],
    product: str | None,
    lot: str | None,
    part_id: str | None,
    at: datetime | None,
    no_reports: bool,
    heat_map: Path | None,
) -> None:
    """Judge IMAGES as STATION would and print one JSON line for each, as published over MQTT but without a number.

    Nothing is logged or published. The heat map shows, side by side, where the picture is unlike good parts (if a normality is fitted) and
    which places spoke for the label. A picture that cannot be read gets evaluation Undefined and the reason, like a fault on the line.
    """
    if heat_map is not None and (len(images) > 1 or heat_map.suffix.lower() not in {".png", ".jpg", ".jpeg"}):
        raise click.BadParameter("needs a single IMAGE and a file name that ends in .png or .jpg", param_hint="--heat-map")
    import numpy as np  # noqa: PLC0415 - quick --help

    from inspector.core.frame import Frame  # noqa: PLC0415 - as above
    from inspector.daemon import open_judge  # noqa: PLC0415 - the model only where it is needed
    from inspector.edge.camera import read_image  # noqa: PLC0415 - as above
    from inspector.edge.payload import ResultPayload  # noqa: PLC0415 - as above
    from inspector.errors import CameraError  # noqa: PLC0415 - as above
    from inspector.settings import read_station  # noqa: PLC0415 - as above

    settings = read_station(root / "calibration" / station)
    with open_judge(settings, root, use_reports=not no_reports) as pipeline:
        for line in pipeline.notes:
            click.echo(f"note: {line}", err=True)
        recorded_at = at.replace(tzinfo=UTC) if at else None
        for path in images:
            captured_at, grabbed_ns, fault = datetime.now(UTC), time.monotonic_ns(), None
            try:
                image = read_image(path, max_pixels=settings.quality.max_pixels)
            except CameraError as error:
                image, fault = np.zeros((0, 0, 3), np.uint8), str(error)
            frame = Frame(
                settings.name, "file", path.name, captured_at, grabbed_ns, image,
                product=product, lot=lot, part_id=part_id, recorded_at=recorded_at, source=str(path), fault=fault,
            )  # fmt: skip
            inspection = pipeline.inspect([frame])[0]
            section = settings.products.get(inspection.product)
            click.echo(ResultPayload.of(inspection, section.label_set() if section else None).to_json())
            if heat_map is not None:
                _draw(pipeline, frame, inspection, heat_map)


def _draw(pipeline: "Pipeline", frame: "Frame", inspection: "Inspection", target: Path) -> None:
    """Write the heat maps of a judged frame side by side. Raises ``InspectorError`` if the file cannot be written."""
    import cv2  # noqa: PLC0415 - quick --help

    from inspector.edge.extras.overlay import overlay  # noqa: PLC0415 - as above
    from inspector.edge.heat_map import label_heat, unlike_heat  # noqa: PLC0415 - as above
    from inspector.errors import InspectorError  # noqa: PLC0415 - as above

    boxes = {name: region.box_px for name, region in pipeline.regions.items()}
    maps = {
        "unlike good parts": unlike_heat(inspection, boxes),
        f"spoke for {inspection.label}": label_heat(pipeline.label_maps(frame, inspection), inspection, boxes),
    }
    panels = [overlay(frame.image, inspection, heat=heat, caption=caption) for caption, heat in maps.items() if heat is not None]
    if not panels:
        raise InspectorError(f"{target}: there is nothing to draw: {inspection.verdict.reason}")
    done, data = cv2.imencode(target.suffix, cv2.hconcat(panels))
    try:
        target.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise InspectorError(f"{target}: cannot be written ({error.strerror}); check the folder and its permissions") from error
