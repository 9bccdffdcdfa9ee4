"""``make bench-peers``: the time of inspector's verdict beside that of other houses' models, in turns, on the same cores. Time only.

Every contender is a process of its own that waits while another one judges. Nothing is said about how good their answers are: that takes
trained weights and the same pictures. The full MiniCPM-V is measured at the end by itself: a verdict of it takes seconds.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from inspector.bench.machine import machine
from tests.peers.table import CONTENDERS, OURS

ROOT = Path(__file__).parents[2]
_TURN = 5
"""Verdicts before the next contender has its turn."""


class Contender:
    """One process that judges when it is asked to."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        """Wait until it is built. Raises ``RuntimeError`` if it cannot be."""
        self.name, self._process, self.peak_mib = name, process, 0.0
        self._times_ms: list[list[float]] = []
        self._answer()

    def turn(self) -> None:
        """Let it judge a few times."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{_TURN}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self._times_ms += answer["times_ms"]
        self.peak_mib = answer["peak_mib"]

    @property
    def median_ms(self) -> tuple[float, float]:
        """Medians by the clock and of processor time."""
        clock, cpu = np.median(np.array(self._times_ms), axis=0)
        return float(clock), float(cpu)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self._process.wait()}")
        return dict(json.loads(line))


@contextmanager
def contender(name: str, python: str, log: Path) -> Iterator[Contender]:
    """Run a contender for as long as it is needed; what it prints goes to ``log``."""
    command = [python, "-m", "tests.peers.worker", name, str(ROOT)]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT) as process,
    ):
        try:
            yield Contender(name, process)
        finally:
            process.kill()


@click.command
@click.option("--turns", default=12, show_default=True, help=f"Turns of {_TURN} verdicts each.")
@click.option("--venv", default=ROOT / "var" / "peers", type=click.Path(path_type=Path), help="Environment of the peers (.ci/peers).")
@click.option("--full/--no-full", default=True, help="MiniCPM-V 4.6 at its true size too: 3 GB on the disk, minutes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line instead of the table.")
def main(turns: int, venv: Path, full: bool, as_json: bool) -> None:
    """Measure all contenders in turns and print the table; one that cannot be built is named and left out."""
    console, logs = Console(stderr=True), ROOT / "var"
    logs.mkdir(exist_ok=True)
    here, running, missing = machine(), list[Contender](), list[str]()
    with ExitStack() as parts:
        for number, (name, (_, is_peer)) in enumerate(CONTENDERS.items()):
            console.print(f"building {name}")
            python, log = str(venv / "bin" / "python") if is_peer else sys.executable, logs / f"peer-{number}.log"
            try:
                running.append(parts.enter_context(contender(name, python, log)))
            except (RuntimeError, OSError) as error:
                missing.append(f"{name}: not measured, {error}; {log}")
        for _ in range(turns):
            for one in running:
                one.turn()
    lines = {one.name: (*one.median_ms, one.peak_mib) for one in running}
    lines |= _full(console) if full else {}
    _print(lines, missing, here, as_json=as_json)


def _full(console: Console) -> dict[str, tuple[float, float, float]]:
    """Return the lines of a full MiniCPM-V; the processor time of one is not told."""
    console.print("measuring MiniCPM-V 4.6 at its true size, random weights, bfloat16")
    command = [sys.executable, "-m", "inspector", "--root", str(ROOT), "bench", "--full", "minicpmv4_6", "--frames", "10", "--json"]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    peak_mib = told["peak_bytes"] / 2**20
    return {
        "MiniCPM-V 4.6, closed label, 448 px": (told["small_ms"], float("nan"), peak_mib),
        "MiniCPM-V 4.6, 20 tokens of free text": (told["free_text_ms"], float("nan"), peak_mib),
    }


def _print(lines: dict[str, tuple[float, float, float]], missing: list[str], here: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        rows = {
            name: {"clock_ms": clock, "cpu_ms": None if np.isnan(cpu) else cpu, "peak_mib": mib}
            for name, (clock, cpu, mib) in lines.items()
        }
        click.echo(json.dumps({**here, "peers": rows, "missing": missing}))
        return
    title = f"1080p picture in memory to answer, medians in turns; {here['cores']} cores of {here['cpu']}, load {here['load']}"
    table, ours = Table("what", "clock, ms", "/ ours", "CPU, ms", "/ ours", "peak, MiB", title=title), lines[OURS]
    for name, (clock, cpu, mib) in lines.items():
        table.add_row(name, f"{clock:.1f}", f"{clock / ours[0]:.2f}", f"{cpu:.1f}", f"{cpu / ours[1]:.2f}", f"{mib:.0f}")
    console = Console()
    console.print(table)
    for line in missing:
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
