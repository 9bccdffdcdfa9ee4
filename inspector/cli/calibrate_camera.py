"""``inspector calibrate camera``: measure a camera's lens on pictures of a board, or say which pictures are missing."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.camera_pictures import FOLDER, PictureChoice, picture_options, pictures_in, state_folder, station_with
from inspector.core.calibration import CameraCalibration
from inspector.errors import CalibrationError
from inspector.settings import StationSettings, read_camera_calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from inspector.training.lens.board import Board, View
    from inspector.training.lens.fit import Lens

_KINDS = ("charuco", "chessboard")
_MM = click.FloatRange(0.0, min_open=True)


class Squares(click.ParamType[tuple[int, int]]):
    """COLUMNSxROWS."""

    name = "COLUMNSxROWS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return columns and rows."""
        columns, _, rows = str(value).lower().partition("x")
        if not (columns.isdecimal() and rows.isdecimal()):
            self.fail(f"{value!r} should read like 9x6: squares in a row, x, squares in a column", param, ctx)
        return int(columns), int(rows)


@click.command("camera")
@click.argument("station")
@click.option("--camera", required=True, help="Camera of the station.")
@picture_options("of the board", every_s=3.0, moved="move and tilt the board")
@click.option("--board", "kind", required=True, type=click.Choice(_KINDS), help="Its kind; ChArUco with markers 5X5_250.")
@click.option("--squares", required=True, type=Squares(), help="Squares (not corners) in a row and in a column.")
@click.option("--square-mm", required=True, type=_MM, help="Side of a square, as measured on the board.")
@click.option("--marker-mm", type=_MM, help="ChArUco: side of a marker. Default: 0.7 of the square.")
@click.option("--max-error", type=_MM, default=0.5, show_default=True, help="Largest RMS reprojection error, pixels.")
@click.option(
    "--scale-picture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Picture of the board lying on the part's plane: gives mm_per_px.",
)
@click.option("--white", type=FOLDER, help="Folder with pictures of an even white surface: gives the flat field.")
@click.pass_obj
def subject(
    root: Path,
    station: str,
    camera: str,
    pictures: PictureChoice,
    kind: str,
    squares: tuple[int, int],
    square_mm: float,
    marker_mm: float | None,
    max_error: float,
    scale_picture: Path | None,
    white: Path | None,
) -> None:
    """Measure the lens of a camera of STATION on pictures of a flat board, and write it into the station's camera.toml.

    Says how well the lens fits, overall and for each picture. Where the pictures do not suffice it says which are missing, writes nothing
    and exits with 1. docs/calibrate-camera.md tells how to take them.
    """
    settings = station_with(root, station, camera)
    board = _board(kind, squares, square_mm, marker_mm)
    old = read_camera_calibration(settings.folder, camera)  # a file with mistakes is told before the work
    views = _views(board, pictures, settings, root, camera)
    lens = _lens(views, max_error, f"{station}: {camera}")
    scale = None if scale_picture is None else _scale(board, scale_picture, lens, views[0].size)
    gain = None if white is None else _gain(white, views[0].size)
    shown = _show(settings, root, camera, views, lens)
    _write(settings, camera, _calibration(old, lens, scale), _story(views, lens), gain)
    if scale is not None:
        click.echo(f"scale: {scale:.5f} mm a pixel")
    elif old.mm_per_px is not None:
        click.echo("note: the old mm_per_px belonged to the old lens and was removed; give --scale-picture", err=True)
    click.echo(f"before and after: {shown}")
    click.echo(f"written: {settings.folder / 'camera.toml'} [{camera}]; a running station takes it over with its next reload or start")


def _board(kind: str, squares: tuple[int, int], square_mm: float, marker_mm: float | None) -> "Board":
    from inspector.training.lens.board import Board  # noqa: PLC0415 - quick --help

    marker = 0.7 * square_mm if marker_mm is None else marker_mm
    return Board("charuco" if kind == "charuco" else "chessboard", *squares, square_mm, marker)


def _views(board: "Board", pictures: PictureChoice, settings: StationSettings, root: Path, camera: str) -> "list[View]":
    """Find the board in every picture; name those without one, and live those with one too."""
    views = []
    for path, image in pictures.of(settings, root, camera):
        if (view := board.view(path, image)) is None:
            click.echo(f"note: {path.name}: no {board.kind} of {board.columns}x{board.rows} squares found; {_cure(board)}", err=True)
            continue
        views.append(view)
        if pictures.is_live:
            click.echo(f"{path.name}: board found, {len(view.corners_px)} corners")
    return views


def _cure(board: "Board") -> str:
    whole = "show more of it" if board.kind == "charuco" else "show all of it with a white margin"
    return f"{whole}, sharp and without glare, check --squares, or remove the picture"


def _lens(views: "Sequence[View]", max_error_px: float, source: str) -> "Lens":
    """Return the lens and tell the error of each picture. Raises ``CalibrationError`` with every reason not to use it."""
    from inspector.training.lens.fit import fit_lens, unfit_lens, unfit_views  # noqa: PLC0415 - quick --help

    _refuse(source, unfit_views(views))
    lens = fit_lens(views)
    for view, rms_px in zip(views, lens.view_rms_px, strict=True):
        click.echo(f"{view.path.name}: {rms_px:.3f} px, {len(view.corners_px)} corners")
    click.echo(f"lens: RMS reprojection error {lens.rms_px:.3f} px, focal length known to {100 * lens.focal_doubt:.2f} %")
    _refuse(source, unfit_lens(lens, views, max_error_px))
    return lens


def _story(views: "Sequence[View]", lens: "Lens") -> list[str]:
    """Return the comment of the table in camera.toml."""
    size = f"{views[0].size[0]} x {views[0].size[1]}"
    return [
        f"Measured by inspector calibrate camera on {len(views)} pictures of {size} pixels.",
        f"Reprojection error {lens.rms_px:.3f} px (RMS).",
    ]


def _refuse(source: str, reasons: "Sequence[str]") -> None:
    if reasons:
        raise CalibrationError(f"{source}: nothing was written\n" + "\n".join(f"  - {line}" for line in reasons))


def _scale(board: "Board", path: Path, lens: "Lens", size: tuple[int, int]) -> float:
    """Return millimetres a pixel on the board's plane in a picture. Raises ``CalibrationError``."""
    from inspector.training.lens.plane import mm_per_px  # noqa: PLC0415 - quick --help
    from inspector.training.picture import read_rgb  # noqa: PLC0415 - as above

    view = board.view(path, read_rgb(path))
    if view is None:
        raise CalibrationError(f"--scale-picture {path}: no board found; {_cure(board)}")
    if view.size != size:
        found, expected = (f"{width} x {height}" for width, height in (view.size, size))
        raise CalibrationError(f"--scale-picture {path}: {found} pixels, the other pictures have {expected}; take it at their size")
    return mm_per_px(view, lens)


def _gain(folder: Path, size: tuple[int, int]) -> "NDArray[np.float32]":
    """Return the gain map of a folder of white pictures. Raises ``CalibrationError`` that names each picture that is none."""
    from inspector.training.lens.white import gain_of, unfit_white  # noqa: PLC0415 - quick --help

    frames = list(pictures_in(folder))
    _refuse(f"--white {folder}", [reason for path, image in frames if (reason := unfit_white(path, image, size))])
    return gain_of([image for _, image in frames], f"--white {folder}")


def _calibration(old: CameraCalibration, lens: "Lens", scale: float | None) -> CameraCalibration:
    """Return what goes into camera.toml; limits of light and focus stay."""
    now = datetime.now(UTC).replace(microsecond=0)
    coefficients = tuple(round(value, 8) for value in lens.coefficients)
    return replace(old, camera_matrix=lens.matrix, dist_coeffs=coefficients, mm_per_px=scale, calibrated_at=now)


def _show(settings: StationSettings, root: Path, camera: str, views: "Sequence[View]", lens: "Lens") -> Path:
    """Write the picture that shows most corners before and after the correction, beside the log; return its path."""
    from inspector.training.lens.preview import preview, write_preview  # noqa: PLC0415 - quick --help
    from inspector.training.picture import read_rgb  # noqa: PLC0415 - as above

    view = max(views, key=lambda view: float((view.corners_px.max(0) - view.corners_px.min(0)).prod()))
    path = state_folder(settings, root) / f"lens-{settings.name}-{camera}.png"
    write_preview(path, preview(view, read_rgb(view.path), lens))
    return path


def _write(
    settings: StationSettings, camera: str, calibration: CameraCalibration, story: list[str], gain: "NDArray[np.float32] | None"
) -> None:
    from inspector.settings.camera_file import write_camera  # noqa: PLC0415 - quick --help
    from inspector.settings.flat_field import write_gain  # noqa: PLC0415 - as above

    if gain is not None:
        calibration = replace(calibration, flat_field=write_gain(settings.folder, camera, gain), gain=gain)
    write_camera(settings.folder, camera, calibration, story)
