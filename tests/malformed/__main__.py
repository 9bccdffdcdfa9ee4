"""``make malformed``: thousands of malformed inputs; none may crash or hang, each is taken or refused with a clear error.

Exit code 1 if one did. ``var/malformed/`` keeps what crashed.
"""

import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import click
import cv2
from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.malformed.doors import Door, doors

_HANG_S = 20
"""An input that takes longer hangs."""


@dataclass(slots=True)
class Count:
    """What became of a door's inputs."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    crashes: list[tuple[Any, str]] = field(default_factory=list)


@click.command
@click.option("--inputs", default=10_000, show_default=True, type=click.IntRange(min=20), help="How many, at all doors together.")
@click.option("--seed", "number", default=1, show_default=True, help="Which ones.")
@click.option("--folder", default="var/malformed", show_default=True, type=click.Path(path_type=Path), help="Where crashes are kept.")
def main(inputs: int, number: int, folder: Path) -> None:
    """Send malformed inputs to every door and print what became of them."""
    console = Console(width=110)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a decoder's remarks about each damaged picture
    signal.signal(signal.SIGALRM, _hangs)
    counts = {}
    for name, door in track(doors().items(), "doors", console=Console(stderr=True), transient=True):
        counts[name] = knock(door, max(round(inputs * door.share), 1), number)
    console.print(_table(counts, number))
    crashes = [(name, *crash) for name, count in counts.items() for crash in count.crashes]
    for place, (name, given_input, told) in enumerate(crashes):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place:03d}.txt").write_text(f"{name}\n{given_input!r}\n\n{told}", encoding="utf-8", errors="backslashreplace")
    total = sum(count.inputs for count in counts.values())
    console.print(f"{'FAILED' if crashes else 'PASSED'}: {total} inputs, {len(crashes)} crashed or hung", highlight=False)
    if crashes:
        console.print(f"they are kept in {folder}", highlight=False)
        sys.exit(1)


def knock(door: Door, inputs: int, number: int) -> Count:
    """Send so many inputs to a door."""
    count = Count()
    with tempfile.TemporaryDirectory() as place:

        @seed(number)
        @settings(max_examples=inputs, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(door.inputs)
        def each(one: Any) -> None:
            _take(door, one, Path(place), count)

        while count.inputs < inputs:  # a strategy that runs dry ends early
            before = count.inputs
            each()
            if count.inputs == before:
                break
    return count


def _take(door: Door, one: Any, place: Path, count: Count) -> None:
    """Let a door take one input and count what it says."""
    count.inputs += 1
    began = time.perf_counter()
    signal.alarm(_HANG_S)
    try:
        if door.take(one, place):
            count.accepted += 1
        else:
            count.refused += 1
    except door.refuses_with as error:
        count.refused += 1
        if not str(error).strip():
            count.crashes.append((one, "refused without a word"))
    except Exception:  # noqa: BLE001 - this is what the course looks for
        count.crashes.append((one, traceback.format_exc()))
    finally:
        signal.alarm(0)
        count.slowest_ms = max(count.slowest_ms, (time.perf_counter() - began) * 1e3)


def _hangs(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no answer within {_HANG_S} s")


def _table(counts: dict[str, Count], number: int) -> Table:
    table = Table("door", "inputs", "accepted", "refused", "crashed or hung", "slowest, ms", title=f"malformed inputs, seed {number}")
    for name, count in counts.items():
        table.add_row(
            name, *(f"{value:,}" for value in (count.inputs, count.accepted, count.refused, len(count.crashes))), f"{count.slowest_ms:.0f}"
        )
    return table


if __name__ == "__main__":
    main()
