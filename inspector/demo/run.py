"""The demo's course: broker, subscriber, daemon, table, contact sheet, closing line."""

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspector.demo.broker import Broker, running_broker
from inspector.demo.sheet import Tile, write_sheet
from inspector.demo.subscriber import Arrival, Subscriber
from inspector.edge.log import Log, database_path
from inspector.errors import InspectorError, LogError
from inspector.settings import StationSettings, read_station

_DAEMON_TIMEOUT_S = 600
_WIDTHS = (9, 30, 32, 7, 5, 27, 7, 6)
_HEADINGS = ("picture", "true label", "answer", "verdict", "sure", "reports seen", "age ms", "ms")
_NUMBERS = 6
"""Columns from here on are numbers and stand at the right."""
_RECORDED_ROWS = 24
"""Rows of a recording."""
_STYLES = {"pass": "green", "fail": "red", "review": "yellow"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo came to."""

    frames: int
    """Pictures replayed."""
    logged: int
    """Rows in the log."""
    received: int
    """Results that reached the subscriber, doubles removed."""
    accuracy: float
    """Share of the pictures whose label is the true one."""
    p50_ms: float
    """Median from capture to committed row."""
    p99_ms: float
    """99th percentile of the same."""
    dropped: int
    """Frames that gave way."""

    def __str__(self) -> str:
        """Return the demo's last line."""
        return (
            f"frames {self.frames} · logged {self.logged} · received {self.received} · accuracy {self.accuracy:.2f} · "
            f"p50 {self.p50_ms:.0f} ms · p99 {self.p99_ms:.0f} ms · dropped {self.dropped}"
        )


def run_demo(root: Path, station: str, console: Console, *, recording: Path | None = None) -> Outcome:
    """Run the demo of a station whose folder camera has a manifest with true labels. Its state is made anew in ``root/var``.

    ``recording``: an SVG file that gets the most telling rows of the table.
    """
    settings = read_station(root / "calibration" / station)
    truth = true_labels(settings)
    work = database_path(settings, root).parent
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    reports = settings.folder / "reports.csv"
    if reports.is_file():
        _verb(root, "reports", "import", station, str(reports))
    with running_broker(work) as broker:
        console.print(f"broker {broker.name} on 127.0.0.1:{broker.port}, station [bold]{station}[/], {len(truth)} pictures")
        show = _Rows(truth, console)
        subscriber = Subscriber(broker.port, settings.mqtt.root, show.add)
        try:
            _run_daemon(root, station, broker, work / "daemon.log", subscriber, len(truth))
        finally:
            subscriber.close()
    outcome = _outcome(root, settings, truth, subscriber.arrivals)
    console.print(_summary(settings, truth, subscriber.arrivals))
    sheet = root / "var" / f"{station}-sheet.png"
    write_sheet(sheet, _tiles(settings, truth, subscriber.arrivals), f"inspector demo: {outcome}".replace(" · ", " | "))
    console.print(f"contact sheet: {sheet}   log: inspector log {station}   status seen: {' -> '.join(subscriber.states)}", soft_wrap=True)
    console.print(str(outcome), highlight=False, soft_wrap=True)
    if recording is not None:
        _record(recording, show, _summary(settings, truth, subscriber.arrivals), outcome)
    return outcome


def true_labels(settings: StationSettings) -> dict[str, str]:
    """Return file name to true label from the manifest of the station's first camera. The daemon never reads that column."""
    camera = next(iter(settings.cameras.values()))
    if camera.manifest is None:
        raise InspectorError(f"station {settings.name}: the demo needs a folder camera with a manifest that has a column label")
    path = settings.folder / camera.manifest
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise InspectorError(f"{path}: the manifest cannot be read: {error}") from error
    if not rows or not {"file", "label"} <= rows[0].keys():
        raise InspectorError(f"{path}: the demo needs the columns file and label and at least one row")
    return {row["file"]: row["label"] for row in rows}


def _verb(root: Path, *arguments: str) -> None:
    """Run a verb of the command line as a user would; its output goes to the terminal."""
    done = subprocess.run([sys.executable, "-m", "inspector", "--root", str(root), *arguments], check=False)
    if done.returncode:
        raise InspectorError(f"inspector {' '.join(arguments)} ended with exit code {done.returncode}")


def _run_daemon(root: Path, station: str, broker: Broker, output: Path, subscriber: Subscriber, count: int) -> None:
    """Run the daemon in its own process until its replay is over and the subscriber has what it published."""
    command = [sys.executable, "-m", "inspector", "--root", str(root), "run", station]
    command += ["--set", 'mqtt.host="127.0.0.1"', "--set", f"mqtt.port={broker.port}"]
    with output.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        code = process.wait(_DAEMON_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait(15)
        raise InspectorError(f"the daemon is still running after {_DAEMON_TIMEOUT_S} s; does the station's camera loop or watch?") from None
    except BaseException:
        process.terminate()
        process.wait(15)
        raise
    if code:
        raise InspectorError(f"the daemon ended with exit code {code}: {output.read_text(errors='replace')[-800:].strip()}")
    subscriber.wait_for(count, 10.0)


class _Rows:
    """Prints one row for each result as it arrives."""

    def __init__(self, truth: Mapping[str, str], console: Console) -> None:
        self._truth, self._console, self._lock = truth, console, threading.Lock()
        self.heading = _line(_HEADINGS, "bold", "")
        self.rows: list[Text] = []

    def add(self, arrival: Arrival) -> None:
        """Print a row; the heading comes before the first."""
        result = arrival.result
        answer, truth = result["label"] or "-", self._truth.get(result["frame"]["frame_id"], "?")
        mark = "✓" if answer == truth else "✗"
        cells = (
            result["frame"]["frame_id"].removesuffix(".jpg"),
            truth,
            f"{mark} {answer}",
            result["disposition"],
            f"{result['confidence'] or 0:.2f}",
            " ".join(result["reports"]) or "none",
            f"{result['frame_age_ms']:.0f}",
            f"{result['times_ms'].get('total', 0.0):.0f}",
        )
        row = _line(cells, "" if mark == "✓" else "bold red", _STYLES[result["disposition"]])
        with self._lock:
            if not self.rows:
                self._console.print(self.heading, soft_wrap=True)
            self.rows.append(row)
            self._console.print(row, soft_wrap=True)


def _record(path: Path, show: _Rows, summary: Table, outcome: Outcome) -> None:
    """Write the most telling part of the table as an SVG."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - the null device is no path of ours
        console = Console(record=True, file=nowhere, width=sum(_WIDTHS) + len(_WIDTHS), force_terminal=True)
        for part in (show.heading, *most_telling(show.rows, _RECORDED_ROWS), summary, Text(str(outcome), style="bold")):
            console.print(part)
        console.save_svg(str(path), title="inspector demo")


def most_telling(rows: Sequence[Text], count: int) -> Sequence[Text]:
    """Return the ``count`` neighbouring rows with the most kinds of outcome (verdict, right or wrong); the first such."""
    kinds = [(str(row.style), *(str(span.style) for span in row.spans)) for row in rows]
    starts = range(max(1, len(rows) - count + 1))
    best = max(starts, key=lambda start: len(set(kinds[start : start + count])))
    return rows[best : best + count]


def _line(cells: Sequence[str], style: str, verdict_style: str) -> Text:
    text = Text(style=style, no_wrap=True, overflow="crop")
    for index, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True)):
        padded = cell[:width].rjust(width) if index >= _NUMBERS else cell[:width].ljust(width)
        text.append(padded + " ", verdict_style if index == 3 else "")
    return text


def _outcome(root: Path, settings: StationSettings, truth: Mapping[str, str], arrivals: Sequence[Arrival]) -> Outcome:
    """Compare log, arrivals and truth."""
    with Log(database_path(settings, root), settings.name, read_only=True) as log:
        rows = list(log.find())
        stopped = [event for event in log.events() if event.kind == "stopped"]
    if not stopped:
        raise LogError(f"{log.path}: the daemon left no closing event; see daemon.log beside it")
    numbers: dict[str, Any] = json.loads(stopped[-1].detail)
    if {row.inspection_id for row in rows} != {arrival.result["inspection_id"] for arrival in arrivals}:
        raise LogError(f"{log.path}: {len(rows)} rows were logged but {len(arrivals)} results arrived; see daemon.log beside it")
    right = [arrival.result["label"] == truth.get(arrival.result["frame"]["frame_id"]) for arrival in arrivals]
    spread = numbers["capture_to_row"]
    accuracy = float(np.mean(right)) if right else 0.0
    return Outcome(len(truth), len(rows), len(arrivals), accuracy, spread["p50_ms"], spread["p99_ms"], numbers["dropped"])


def _summary(settings: StationSettings, truth: Mapping[str, str], arrivals: Sequence[Arrival]) -> Table:
    """Count verdicts for each product: what passed, failed and went to review, and what a station would have let slip."""
    table = Table("product", "pictures", "label right", "pass", "fail", "review", "defects passed", "good parts failed", title="verdicts")
    for product in sorted({arrival.result["product"] for arrival in arrivals}):
        mine = [arrival.result for arrival in arrivals if arrival.result["product"] == product]
        right = sum(result["label"] == truth.get(result["frame"]["frame_id"]) for result in mine)
        counts = [sum(result["disposition"] == kind for result in mine) for kind in ("pass", "fail", "review")]
        good = settings.products[product].good
        slipped = sum(result["disposition"] == "pass" and truth[result["frame"]["frame_id"]] != good for result in mine)
        alarms = sum(result["disposition"] == "fail" and truth[result["frame"]["frame_id"]] == good for result in mine)
        table.add_row(product, str(len(mine)), str(right), *map(str, counts), str(slipped), str(alarms))
    return table


def _tiles(settings: StationSettings, truth: Mapping[str, str], arrivals: Sequence[Arrival]) -> list[Tile]:
    camera = next(iter(settings.cameras.values()))
    folder = settings.folder / (camera.path or "")
    results = {arrival.result["frame"]["frame_id"]: arrival.result for arrival in arrivals}
    return [
        Tile(folder / name, label, results[name]["label"], results[name]["confidence"] or 0.0, results[name]["disposition"])
        for name, label in truth.items()
        if name in results
    ]
