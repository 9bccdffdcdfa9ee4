"""``inspector log``: what a station has judged, as a table or as JSON lines; its files are the business of ``log_files``."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.cli.log_files import backup, salvage
from inspector.core.inspection import Disposition, Inspection
from inspector.errors import LogError
from inspector.settings import StationSettings, read_station

if TYPE_CHECKING:
    from rich.table import Table

    from inspector.edge.log import Log


class Instant(click.ParamType[datetime]):
    """A span back from now (90s, 30m, 2h, 7d) or an instant (2026-01-31, 2026-01-31T14:00, ...Z); without a zone it is UTC."""

    name = "WHEN"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant, UTC."""
        if isinstance(value, datetime):
            return value
        if span := re.fullmatch(r"(\d{1,9})\s*([smhd])", value.strip()):
            unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[span[2]]
            try:
                return datetime.now(UTC) - timedelta(**{unit: int(span[1])})
            except OverflowError:
                self.fail(f"{value!r} lies before the year 1", param, ctx)
        try:
            instant = datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(f"{value!r} is neither a span such as 90s, 30m, 2h, 7d nor a date such as 2026-01-31 or 2026-01-31T14:00", param, ctx)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


_WIDTH_WITH_REASON = 120
"""Columns from which on the table has room for the reason of each verdict."""
_PIPED_WIDTH = 200
"""Columns where the output is no terminal."""


class LogVerbs(click.Group):
    """A group whose first word may be left out: ``inspector log STATION`` shows the station's verdicts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``show`` before what is not a verb; a station of a verb's name is reached through it."""
        wants_help = bool(args) and args[0] in {"-h", "--help"}
        return super().parse_args(ctx, args if not args or wants_help or args[0] in self.commands else ["show", *args])


@click.group(cls=LogVerbs, subcommand_metavar="[show] STATION | VERB ...")
def command() -> None:
    """Query a station's log of verdicts, copy it, or salvage a damaged one."""


command.add_command(backup)
command.add_command(salvage)


@command.command("show")
@click.argument("station")
@click.option("--label", metavar="LABEL", help="Only verdicts with this label, in any region.")
@click.option("--disposition", type=click.Choice(("pass", "fail", "review")), help="Only these verdicts.")
@click.option("--since", type=Instant(), help="Only from then on: a span (2h, 7d) or an instant (2026-01-31T14:00, UTC).")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many, the newest ones. Default: 50 in the table, all with --json.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new verdicts as they come; end with Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as in the MQTT messages.")
@click.pass_obj
def show_verdicts(
    root: Path,
    station: str,
    *,
    label: str | None,
    disposition: Disposition | None,
    since: datetime | None,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what STATION has judged, oldest first."""
    from inspector.edge.log import Log, database_path  # noqa: PLC0415 - keeps `inspector --help` quick

    settings = read_station(root / "calibration" / station)
    path = database_path(settings, root)
    if not path.exists():
        raise LogError(f"{path}: station {station!r} has no log yet; it begins with the first start: inspector run {station}")
    wanted = limit if limit is not None or as_json else 50
    show = _as_json(settings) if as_json else _as_table
    with Log(path, station, read_only=True) as log:
        start = log.last_seq()
        first = list(log.find(label=label, disposition=disposition, since=since, limit=wanted))
        if first:
            show(first)
        elif not as_json and not follow:
            click.echo(_why_nothing(log, station))
        if follow:
            seen = max([start, *(inspection.seq or 0 for inspection in first)])
            for found in _following(log, label, disposition, seen):
                (show if as_json else _as_lines)(found)


def _following(log: "Log", label: str | None, disposition: Disposition | None, seen: int) -> Iterator[list[Inspection]]:
    """Yield new verdicts as they come, for ever."""
    while True:
        newest = log.last_seq()  # before the look, so that a verdict logged in between is found by the next one
        found = list(log.find(label=label, disposition=disposition, after_seq=seen))
        if found:
            yield found
        seen = max([newest, *(inspection.seq or 0 for inspection in found)])
        time.sleep(0.3)


def _why_nothing(log: "Log", station: str) -> str:
    """Tell an empty log from conditions that nothing meets."""
    last = log.last_seq()
    if last == 0:
        return f"The log of station {station!r} is empty: nothing has been judged yet ({log.path})."
    return f"Nothing in the log of station {station!r} meets these conditions; its last verdict has number {last}."


def _as_json(settings: StationSettings) -> Callable[[Iterable[Inspection]], None]:
    """Return a function that prints inspections as the MQTT messages about them."""
    from inspector.edge.payload import ResultPayload  # noqa: PLC0415 - as in command

    labels = {name: product.label_set() for name, product in settings.products.items()}

    def show(inspections: Iterable[Inspection]) -> None:
        for inspection in inspections:
            click.echo(ResultPayload.of(inspection, labels.get(inspection.product)).to_json().decode())

    return show


def _as_table(inspections: Iterable[Inspection]) -> None:
    """Print inspections as a table."""
    from rich.console import Console  # noqa: PLC0415 - as in command

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    is_narrow = console.width < _WIDTH_WITH_REASON
    table = _new_table(with_reason=not is_narrow)
    for inspection in inspections:
        cells = _cells(inspection)
        table.add_row(*(cells[:-1] if is_narrow else cells))
    console.print(table)
    if is_narrow:
        console.print("[dim]a wider terminal shows the reasons, --json shows all[/]")


def _as_lines(inspections: Iterable[Inspection]) -> None:
    """Print inspections one a line, without a head: for what comes bit by bit."""
    from rich.console import Console  # noqa: PLC0415 - as in command

    for inspection in inspections:
        Console().print("  ".join(cell for cell in _cells(inspection) if cell), soft_wrap=True, highlight=False)


def _new_table(*, with_reason: bool) -> "Table":
    """Return the table's head."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as in command
    from rich.table import Table  # noqa: PLC0415 - as in command

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, is_number in (("seq", True), ("judged (UTC)", False), ("part", False), ("lot", False), ("verdict", False), ("label", False)):
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for name in ("p", "age ms"):
        table.add_column(name, justify="right", no_wrap=True)
    if with_reason:
        table.add_column("reason", overflow="fold", ratio=1)
    return table


def _cells(inspection: Inspection) -> tuple[str, ...]:
    """Return one row of the table."""
    from rich.markup import escape  # noqa: PLC0415 - as in command

    colour = {"pass": "green", "fail": "red", "review": "yellow"}[inspection.verdict.disposition]
    return (
        str(inspection.seq),
        f"{inspection.inspected_at:%Y-%m-%d %H:%M:%S}",
        escape(inspection.part_id or inspection.frame_id),
        escape(inspection.lot or ""),
        f"[{colour}]{inspection.verdict.disposition}[/]",
        escape(inspection.label or "-"),
        "-" if inspection.confidence is None else f"{inspection.confidence:.2f}",
        f"{inspection.frame_age_ms:.0f}",
        escape(inspection.verdict.reason),
    )
