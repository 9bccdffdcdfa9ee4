"""What ends ``inspector init``: past reports are imported, everything is checked, and the camera's first picture is judged."""

from pathlib import Path

import click

from inspector.cli.check import examine, tell_finding
from inspector.cli.init_cameras import first_frame
from inspector.errors import InspectorError
from inspector.settings import StationSettings

_UNKNOWN = (
    "The model has not learnt this product: the label means nothing yet, the verdict shows that camera and model work together. "
    "Next: docs/train.md, or docs/calibrate-normality.md with good parts alone."
)


def finish(ctx: click.Context, root: Path, settings: StationSettings, reports: tuple[Path, ...], *, is_learnt: bool) -> bool:
    """Import, check and judge; return False if something must be cured first. Nothing is logged or published."""
    if reports:
        from inspector.cli.reports import import_reports  # noqa: PLC0415 - quick --help

        ctx.invoke(import_reports, station=settings.name, files=reports)
    click.echo(f"\ninspector check {settings.name}")
    faults = 0
    for line in examine(root, settings.name):
        tell_finding(line)
        faults += line.state == "FAULT"
    click.echo("")
    try:
        judged = _first_verdict(root, settings, is_learnt=is_learnt)
    except InspectorError as error:
        click.echo(f"first verdict: not possible yet: {error}")
        judged = False
    if faults:
        click.echo(f"{faults} fault{'s' if faults > 1 else ''} above to be cured first; then: inspector check {settings.name}")
    else:
        click.echo(f"Start it with: inspector run {settings.name}")
    return judged and not faults


def _first_verdict(root: Path, settings: StationSettings, *, is_learnt: bool) -> bool:
    """Judge one picture of the camera and tell the verdict; return False if there is no picture yet."""
    from inspector.daemon import open_judge  # noqa: PLC0415 - quick --help
    from inspector.edge.extras.overlay import overlay  # noqa: PLC0415 - as above
    from inspector.edge.log import database_path  # noqa: PLC0415 - as above

    frame = first_frame(settings)
    if frame is None:
        click.echo(f"first verdict: no picture yet; put one in, then: inspector inspect {settings.name} PICTURE")
        return True
    with open_judge(settings, root, use_reports=database_path(settings, root).exists()) as pipeline:
        judged = pipeline.inspect([frame])[0]
    label = "" if judged.label is None or judged.confidence is None else f", {judged.label} {judged.confidence:.2f}"
    click.echo(f"first verdict: {judged.verdict.disposition}{label}: {judged.verdict.reason}")
    path = database_path(settings, root).parent / "first-verdict.jpg"
    _write(path, overlay(frame.image, judged))
    if not is_learnt:
        click.echo(_UNKNOWN)
    return not judged.verdict.fault


def _write(path: Path, picture: object) -> None:
    """Write the picture with its verdict drawn in. Raises ``InspectorError``."""
    import cv2  # noqa: PLC0415 - quick --help
    import numpy as np  # noqa: PLC0415 - as above

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.asarray(picture)):
        raise InspectorError(f"{path}: the picture cannot be written; check the folder and its permissions")
    click.echo(f"its picture: {path}")
