"""Pictures for a calibration: those of a folder, or taken now with the station's own camera. The subjects of ``calibrate`` share it.

``@picture_options(...)`` gives a subject one parameter, ``pictures``: a ``PictureChoice``, which yields each picture with its file. What
the camera took is kept below the station's state, so that a calibration can be done again without taking it again.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from inspector.core.frame import Image
from inspector.errors import CameraError, LogError
from inspector.settings import StationSettings, read_station

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_TRIGGER_PATIENCE_S = 60.0
"""How long a picture may take where a signal of the line triggers the camera."""


def station_with(root: Path, station: str, camera: str) -> StationSettings:
    """Return a station's settings. Raises ``SettingsError``, or ``BadParameter`` if it has no such camera."""
    settings = read_station(root / "calibration" / station)
    if camera not in settings.cameras:
        raise click.BadParameter(f"{camera!r} is not one of the cameras {', '.join(settings.cameras)}", param_hint="--camera")
    return settings


def state_folder(settings: StationSettings, root: Path) -> Path:
    """Return where a station's log, and what else is made for people to look at, lies."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - quick --help

    return database_path(settings, root).parent


@dataclass(frozen=True, slots=True)
class PictureChoice:
    """What the command line says about pictures."""

    folder: Path | None
    """Folder of pictures; None if the camera takes them."""
    frames: int
    """How many the camera takes."""
    every_s: float
    """Time between two of them, seconds."""
    moved: str = ""
    """What is to be done between two of them, such as ``move the board``."""

    @property
    def is_live(self) -> bool:
        """True if the camera takes them."""
        return self.folder is None

    def of(self, settings: StationSettings, root: Path, camera: str) -> Iterator[tuple[Path, Image]]:
        """Yield each picture, (H, W, 3) uint8 RGB, with its file. Raises ``DataError``, ``CameraError`` or ``CalibrationError``."""
        return self._live(settings, root, camera) if self.folder is None else pictures_in(self.folder)

    def _live(self, settings: StationSettings, root: Path, camera: str) -> Iterator[tuple[Path, Image]]:
        """Take pictures with the camera and keep them."""
        from rich.console import Console  # noqa: PLC0415 - quick --help
        from rich.progress import Progress  # noqa: PLC0415 - as above

        from inspector.edge.camera import open_camera  # noqa: PLC0415 - as above
        from inspector.edge.camera.taking import Timing, taken  # noqa: PLC0415 - as above
        from inspector.training.lens.preview import write_preview  # noqa: PLC0415 - as above

        section = settings.cameras[camera]
        patience_s = section.read_timeout_s + (section.open_timeout_s if section.is_live else 0.0)
        timing = Timing(self.every_s, max(patience_s, _TRIGGER_PATIENCE_S if section.awaits_trigger else 0.0), section.is_live)
        folder = state_folder(settings, root) / "calibration" / f"{camera}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        with ExitStack() as parts:
            if section.is_live:
                parts.enter_context(_undisturbed(settings, root, camera))
            opened = parts.enter_context(
                closing(open_camera(camera, section, station=settings.name, base=settings.folder, max_pixels=settings.quality.max_pixels))
            )
            progress = parts.enter_context(Progress(console=Console(stderr=True), transient=True))
            task = progress.add_task("", total=self.frames)

            def wait(done: int, left_s: float) -> None:
                what = f"in {left_s:.0f} s: {self.moved}" if left_s >= 0.5 and self.moved else "is taken"
                progress.update(task, completed=done, description=f"picture {done + 1} of {self.frames} {what}")

            for number, frame in enumerate(taken(opened, self.frames, timing, wait)):
                path = folder / f"{number:03d}.png"
                write_preview(path, frame.image)
                progress.stop()  # the line is free for what is said about this picture
                yield path, frame.image
                progress.start()
        click.echo(f"pictures are kept in {folder}; --pictures {folder} uses them again", err=True)


def pictures_in(folder: Path) -> Iterator[tuple[Path, Image]]:
    """Yield the pictures of a folder, by name. Raises ``DataError`` if one cannot be decoded."""
    from inspector.training.picture import read_rgb  # noqa: PLC0415 - quick --help

    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()):
        yield path, read_rgb(path)


def _undisturbed(settings: StationSettings, root: Path, camera: str) -> ExitStack:
    """Hold the station's lock, so that no daemon takes the camera meanwhile. Raises ``CameraError`` if one is running."""
    from inspector.edge.lock import StationLock  # noqa: PLC0415 - quick --help
    from inspector.edge.log import database_path  # noqa: PLC0415 - as above

    held, lock = ExitStack(), StationLock(database_path(settings, root))
    if not lock.path.exists():  # no daemon has ever run; a lock made here would belong to whoever calibrates, not to the daemon's user
        return held
    try:
        lock.acquire()
    except LogError as error:
        raise CameraError(
            f"cameras.{camera}: {error}. A camera has one owner: systemctl stop inspector@{settings.name} sets it free;"
            ' or give --pictures a folder of pictures that the daemon has kept (log.keep_images = "all")'
        ) from error
    held.callback(lock.release)
    return held


def picture_options(shown: str, *, every_s: float, moved: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options to a subject and hands it ``pictures``; ``shown`` says what is in them."""

    def decorate(subject: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(subject)
        def with_choice(*args: Any, pictures: Path | None, frames: int | None, every: float, **more: Any) -> Any:  # noqa: ANN401 - whatever the subject takes
            if (pictures is None) == (frames is None):
                raise click.UsageError("give either --pictures FOLDER, or --frames N to take them with the camera now")
            return subject(*args, pictures=PictureChoice(pictures, frames or 0, every, moved), **more)

        options = [
            click.option("--pictures", type=FOLDER, help=f"Folder with pictures {shown}."),
            click.option(
                "--frames", type=click.IntRange(1, 1000), help="Or: take so many with the camera now; its daemon must be stopped."
            ),
            click.option(
                "--every", type=click.FloatRange(0.0, 3600.0), default=every_s, show_default=True, help="Seconds between two of them."
            ),
        ]
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_choice)

    return decorate
