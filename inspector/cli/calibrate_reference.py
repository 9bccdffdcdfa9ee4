"""``inspector calibrate reference``: take a reference of how the scene looks when the camera is well mounted and lit."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from inspector.cli.camera_pictures import FOLDER, PictureChoice, picture_options, pictures_in, state_folder, station_with
from inspector.core.frame import Image
from inspector.settings import StationSettings, read_camera_calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspector.core.calibration import CameraCalibration
    from inspector.core.scene import SceneReference
    from inspector.scene.reference import Drawn

_LITTLE_CHANGED = 0.01
"""Share of the scene that changed, below which nothing seems to have come or gone."""
_WIDE_LIGHT = 0.5
"""Limit of the brightness above which the warning is worth little."""
_PREVIEW_PX = 960


@click.command("reference")
@click.argument("station")
@click.option("--camera", required=True, help="Camera of the station.")
@picture_options("of the scene, while parts come and go", every_s=1.0)
@click.option("--try", "tried", type=FOLDER, help="Folder with later pictures of the same scene: which warnings would they have given?")
@click.pass_obj
def subject(root: Path, station: str, camera: str, pictures: PictureChoice, tried: Path | None) -> None:
    """Take a reference of the scene before a camera of STATION, and write it into the station's camera.toml.

    Take the pictures when the camera is well mounted and lit, 30 of them, while different parts come and go. From then on the station
    warns when the camera has moved and when the light drifts. Says what varied by nature and what follows for both warnings; where the
    scene has no fixed parts it says that a moved camera cannot be seen.
    """
    from inspector.scene.reference import reference_of  # noqa: PLC0415 - quick --help

    settings = station_with(root, station, camera)
    old = read_camera_calibration(settings.folder, camera)  # a file with mistakes is told before the work
    last = list[Image]()
    drawn = reference_of(_passed(pictures, settings, root, camera, last), f"{station}: {camera}")
    _tell(drawn)
    if tried is not None:
        _try(drawn.reference, camera, tried)
    click.echo(f"a look takes {_look_ms(last[0], drawn.reference):.1f} ms here, once a second")
    shown = _show(state_folder(settings, root) / f"reference-{settings.name}-{camera}.png", drawn.reference)
    _write(settings, camera, replace(drawn.reference, calibrated_at=datetime.now(UTC).replace(microsecond=0)), old)
    click.echo(f"the scene and its fixed parts: {shown}")
    click.echo(f"written: {settings.folder / 'camera.toml'} [{camera}]; a running station takes it over with its next reload or start")


def _passed(choice: PictureChoice, settings: StationSettings, root: Path, camera: str, last: list[Image]) -> Iterator[Image]:
    """Yield the pictures and leave the last one in a list."""
    for _, image in choice.of(settings, root, camera):
        last[:] = [image]
        yield image


def _tell(drawn: "Drawn") -> None:
    """Say what was found, and what it is worth."""
    found = drawn.reference
    low, middle, high = found.luminance
    click.echo(f"reference of {found.frames} pictures of {found.size_px[0]} x {found.size_px[1]} pixels")
    click.echo(f"luminance: {middle:g}, nine of ten between {low:g} and {high:g}; focus: {found.focus[1]:g} (variance of Laplacian)")
    click.echo(f"light: varies by {100 * found.light_sigma:.1f} % by nature; a change beyond {100 * found.light_limit:.0f} % will be told")
    if found.light_limit > _WIDE_LIGHT:
        click.echo("note: the pictures differ so much in brightness that a drifting light can hardly be seen", err=True)
    if not found.tiles:
        click.echo("note: this scene has no fixed parts; a moved camera cannot be seen, only a change of light", err=True)
        return
    click.echo(
        f"fixed parts: {len(found.tiles)}; shift {found.shift_sigma_px:.1f} px by nature; a move beyond {found.moved_px:g} px will be told"
    )
    if drawn.changed_share < _LITTLE_CHANGED:
        cure = "parts that stayed count as fixed, and other parts will look like a move; take the pictures while parts come and go"
        click.echo(f"note: nearly nothing has changed from picture to picture; {cure}", err=True)


def _try(reference: "SceneReference", camera: str, folder: Path) -> None:
    """Say which warnings later pictures would have given, one look each."""
    from inspector.scene.look import look  # noqa: PLC0415 - quick --help
    from inspector.scene.watch import Watch  # noqa: PLC0415 - as above

    watch, count, lost, begun = Watch(camera, reference), 0, 0, list[str]()
    for _, image in pictures_in(folder):
        seen = look(image, reference)
        count, lost = count + 1, lost + bool(seen.trouble)
        begun += [f"picture {count}: {kind}: {detail}" for kind, detail in watch.hear(seen)]
    click.echo(f"tried on {count} pictures: scene not recognised in {lost}; warnings: {len(begun) or 'none'}")
    for line in begun:
        click.echo(f"  {line}")


def _look_ms(image: Image, reference: "SceneReference") -> float:
    """Return how long a look takes, milliseconds, the median of some."""
    from inspector.scene.look import look  # noqa: PLC0415 - quick --help

    def once() -> float:
        began = time.perf_counter()
        look(image, reference)
        return 1e3 * (time.perf_counter() - began)

    return median(once() for _ in range(21))


def _show(path: Path, reference: "SceneReference") -> Path:
    """Write the scene with its fixed parts framed; return the file."""
    import cv2  # noqa: PLC0415 - quick --help
    import numpy as np  # noqa: PLC0415 - as above

    from inspector.core.scene import TILE_PX  # noqa: PLC0415 - as above
    from inspector.training.lens.preview import write_preview  # noqa: PLC0415 - as above

    times = max(1, _PREVIEW_PX // max(reference.grey.shape))
    large: NDArray[np.uint8] = np.asarray(cv2.resize(reference.grey, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC), np.uint8)
    drawn = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)
    for x, y in reference.tiles:
        cv2.rectangle(drawn, (times * x, times * y), (times * (x + TILE_PX) - 1, times * (y + TILE_PX) - 1), (40, 200, 40), 2)
    write_preview(path, drawn)
    return path


def _write(settings: StationSettings, camera: str, reference: "SceneReference", old: "CameraCalibration") -> None:
    from inspector.settings.camera_file import write_camera  # noqa: PLC0415 - quick --help
    from inspector.settings.scene_picture import write_scene  # noqa: PLC0415 - as above

    named = replace(reference, picture=write_scene(settings.folder, camera, reference.grey))
    write_camera(settings.folder, camera, replace(old, reference=named))
