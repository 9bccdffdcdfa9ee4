"""Finding the cameras at this machine and showing what one of them sees, so that a person can say "yes, that one"."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.errors import CameraError
from inspector.settings import StationSettings

if TYPE_CHECKING:
    from inspector.core.frame import Frame, Image

_PREVIEW_COLUMNS = 64
"""Width of the picture in a terminal; half blocks make two rows of pixels a line."""


def found_cameras(devices: Path = Path("/dev")) -> Iterator[tuple[str, str]]:
    """Yield (what ``--camera`` takes, what it is) of each camera that can be seen from here; none is opened."""
    for path in sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name)):
        yield str(path), "device of this machine"
    try:
        from inspector.edge.camera.genicam.finding import seen_devices  # noqa: PLC0415 - quick --help

        for address, model in seen_devices():
            yield f"genicam:{address}", f"{model} on the network"
    except CameraError:
        return  # the library is not installed: no such camera can be used either


def first_frame(settings: StationSettings) -> "Frame | None":
    """Return one frame of a station's camera; None if its folder holds no picture yet. Raises ``CameraError``."""
    from inspector.edge.camera import open_camera  # noqa: PLC0415 - quick --help
    from inspector.edge.camera.taking import Timing, taken  # noqa: PLC0415 - as above

    name, section = next(iter(settings.cameras.items()))
    if section.kind == "folder":
        section = section.model_copy(update={"watch": False})  # look once, do not wait
        if section.path is not None and not any((settings.folder / section.path).glob("*")):
            return None
    timing = Timing(0.0, section.open_timeout_s + section.read_timeout_s, section.is_live)
    camera = open_camera(name, section, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels)
    with closing(camera):
        return next(taken(camera, 1, timing, lambda _done, _left_s: None), None)


def show(image: "Image", path: Path) -> None:
    """Write a picture, (H, W, 3) uint8 RGB, beside the station's state, say so, and draw it in a terminal that has colours."""
    import cv2  # noqa: PLC0415 - quick --help

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise CameraError(f"{path}: the picture cannot be written; check the folder and its permissions")
    height, width = image.shape[:2]
    click.echo(f"a picture of {width} x {height} pixels, mean luminance {float(image.mean()):.0f} of 255: {path}")
    if sys.stdout.isatty():
        click.echo(drawn(image))


def drawn(image: "Image") -> str:
    """Return a picture as coloured half blocks, two rows of pixels a line."""
    import cv2  # noqa: PLC0415 - quick --help

    rows = max(2, round(image.shape[0] / image.shape[1] * _PREVIEW_COLUMNS / 2) * 2)
    small = cv2.resize(image, (_PREVIEW_COLUMNS, rows), interpolation=cv2.INTER_AREA)
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = [f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m\x1b[48;2;{b[0]};{b[1]};{b[2]}m\u2580" for a, b in zip(upper, lower, strict=True)]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
