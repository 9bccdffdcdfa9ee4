"""``inspector calibrate regions``: draw the regions that are judged on a picture, in a browser or as numbers; needs no desktop."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from inspector.cli.camera_pictures import PictureChoice, state_folder, station_with
from inspector.cli.region_page import Canvas, RegionPage, Save
from inspector.core.frame import Frame, Image
from inspector.errors import CameraError, SettingsError
from inspector.settings import StationSettings, read_camera_calibration
from inspector.settings.regions_file import Box, box_mistakes, write_regions


class NamedBox(click.ParamType[tuple[str, Box]]):
    """NAME=x,y,w,h."""

    name = "NAME=X,Y,W,H"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Box]:
        """Return the name and its box."""
        if isinstance(value, tuple):
            return value
        name, _, numbers = str(value).partition("=")
        try:
            x, y, width, height = (int(number) for number in numbers.split(","))
        except ValueError:
            self.fail(f"{value!r} should read like rim=100,50,640,480: name, left, top, width, height in pixels", param, ctx)
        return name, (x, y, width, height)


@click.command("regions")
@click.argument("station")
@click.option("--camera", required=True, help="Camera of the station.")
@click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Picture of the camera. Default: take one now; its daemon must be stopped.",
)
@click.option("--box", "boxes", multiple=True, type=NamedBox(), help="A region, in pixels; no page is served. May be repeated.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Port of the page, on 127.0.0.1 alone.")
@click.pass_obj
def subject(root: Path, station: str, camera: str, picture: Path | None, boxes: tuple[tuple[str, Box], ...], port: int) -> None:
    """Draw the regions of STATION on a picture of its camera, and write them into its station.toml; all else in it stays.

    Serves a page on this machine alone: open its address in a browser, draw, press Save. From another machine reach it through
    ssh -L PORT:127.0.0.1:PORT STATION. With --box no page is served: the boxes are added, or replace regions of their names. The picture is
    shown as it is judged: light evened out and lens corrected.
    """
    settings = station_with(root, station, camera)
    image = _corrected(settings, camera, _taken(settings, root, camera, picture))
    if len(settings.cameras) > 1:
        click.echo(f"note: the station's regions hold for all its cameras: {', '.join(settings.cameras)}", err=True)
    saved = dict[str, Box]()

    def save(drawn: Sequence[tuple[str, Box]]) -> None:
        if mistakes := box_mistakes(drawn, (image.shape[1], image.shape[0]), settings.quality.min_side_px):
            raise SettingsError("regions", mistakes)
        write_regions(settings.folder, dict(drawn))
        saved.update(drawn)

    present = {name: section.box_px for name, section in settings.regions.items()}
    if boxes:
        save(_joined(present, boxes))
    else:
        size_px, least_px = (image.shape[1], image.shape[0]), settings.quality.min_side_px
        _serve(Canvas(f"{station}: {camera}", _png(image), size_px, list(present.items()), least_px), save, port)
    shown = _show(state_folder(settings, root) / f"regions-{settings.name}-{camera}.png", image, saved)
    click.echo(f"regions: {', '.join(saved) or 'none, the whole picture is judged'}")
    click.echo(f"drawn: {shown}")
    click.echo(f"written: {settings.folder / 'station.toml'} [regions]; a running station takes it over with its next reload or start")


def _joined(present: Mapping[str, Box], boxes: Sequence[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """Return the regions with new ones added or in the place of those of their names; a name that is given twice stays twice."""
    given = [name for name, _ in boxes]
    return [item for item in present.items() if item[0] not in given] + list(boxes)


def _taken(settings: StationSettings, root: Path, camera: str, picture: Path | None) -> Image:
    """Return the picture of a file, or one that the camera takes now."""
    from inspector.training.picture import read_rgb  # noqa: PLC0415 - quick --help

    if picture is not None:
        return read_rgb(picture)
    found = next((image for _, image in PictureChoice(None, 1, 0.0).of(settings, root, camera)), None)
    if found is None:
        raise CameraError(f"cameras.{camera}: there is no picture in it; give one with --picture")
    return found


def _corrected(settings: StationSettings, camera: str, image: Image) -> Image:
    """Return a picture as its regions are cut out of it. Raises ``CalibrationError``."""
    from inspector.preprocess import correct  # noqa: PLC0415 - quick --help

    frame = Frame(settings.name, camera, "regions", datetime.now(UTC), 0, image)
    return correct(frame, read_camera_calibration(settings.folder, camera))


def _serve(canvas: Canvas, save: Save, port: int) -> None:
    """Serve the page until regions are saved."""
    with RegionPage(canvas, save, port) as page:
        click.echo(f"draw the regions here: {page.address}")
        click.echo(f"from another machine: ssh -L {page.port}:127.0.0.1:{page.port} USER@THIS-MACHINE, then the same address; Ctrl-C ends")
        while not page.saved.wait(0.5):
            pass


def _png(image: Image) -> bytes:
    import cv2  # noqa: PLC0415 - quick --help

    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def _show(path: Path, image: Image, boxes: Mapping[str, Box]) -> Path:
    """Write the picture with the regions drawn in; return the file."""
    import cv2  # noqa: PLC0415 - quick --help

    from inspector.training.lens.preview import write_preview  # noqa: PLC0415 - as above

    drawn, size = np.ascontiguousarray(image).copy(), max(12, max(image.shape) // 60)
    for name, (x, y, width, height) in boxes.items():
        cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), (255, 176, 0), max(1, size // 8))
        for colour, offset in (((0, 0, 0), 1), ((255, 255, 255), 0)):
            at = (x + size // 3 + offset, y + size + size // 3 + offset)
            cv2.putText(drawn, name, at, colour, cv2.FontFace("uni"), size, 600)
    write_preview(path, drawn)
    return path
