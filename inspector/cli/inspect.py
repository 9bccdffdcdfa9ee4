"""``inspector inspect``: judge picture files and print one JSON line for each, without camera, log or broker."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click


@click.command
@click.argument("station")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--product", help="Product in view. Default: the station's.")
@click.option("--lot", help="Lot, position or batch; reports are looked up by it.")
@click.option("--part-id", help="Serial number of the part.")
@click.option("--at", type=click.DateTime(), help="Judge with the history as of this instant (UTC). Default: now.")
@click.option("--no-reports", is_flag=True, help="Judge by the picture alone.")
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
) -> None:
    """Judge IMAGES as STATION would and print one JSON line for each, as published over MQTT but without a number.

    Nothing is logged or published. A picture that cannot be read gets evaluation Undefined and the reason, like a fault on the line.
    """
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
