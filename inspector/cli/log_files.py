"""``inspector log backup`` and ``inspector log salvage``: copies of a station's log, and what can be read of a damaged one."""

from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from inspector.errors import LogError
from inspector.settings import StationSettings, read_station


@click.command
@click.argument("station")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def backup(root: Path, station: str, file: Path) -> None:
    """Copy STATION's log into the new FILE, beside a running daemon.

    The copy holds what was logged at one instant, is checked, and never replaces a file.
    """
    from inspector.edge.disk.backup import back_up  # noqa: PLC0415 - keeps `inspector --help` quick

    path = _existing(read_station(root / "calibration" / station), root)
    bar = Progress(TextColumn("copying"), BarColumn(), TimeRemainingColumn(), transient=True)
    with bar:
        task = bar.add_task("copying", total=None)
        done = back_up(path, file, lambda pages, in_all: bar.update(task, completed=pages, total=in_all))
    click.echo(f"{done.path}: {done.verdicts} verdicts up to number {done.last_seq}, {done.size_bytes / 1e6:,.1f} MB, checked")


@click.command
@click.argument("station")
@click.pass_obj
def salvage(root: Path, station: str) -> None:
    """Check the whole log of STATION; if it is damaged, set it aside and go on with what can be read.

    The daemon must not run. It does the same at each start, but looks for ten seconds at most. The damaged file is never deleted.
    """
    from inspector.edge.disk.recovery import make_sound  # noqa: PLC0415 - as in backup
    from inspector.edge.recorder import rebuild_for  # noqa: PLC0415 - as in backup

    settings = read_station(root / "calibration" / station)
    path = _existing(settings, root)
    found, recovery = make_sound(path, station, rebuild_for(settings), limit_s=None)
    click.echo(f"{path}: {recovery}" if recovery is not None else f"{path}: sound, checked in {found.seconds:.1f} s; nothing to salvage")


def _existing(settings: StationSettings, root: Path) -> Path:
    """Return the path of the station's log. Raises ``LogError`` if there is none."""
    from inspector.edge.log import database_path  # noqa: PLC0415 - as in backup

    path = database_path(settings, root)
    if not path.exists():
        raise LogError(f"{path}: station {settings.name!r} has no log yet; it begins with the first start: inspector run {settings.name}")
    return path
