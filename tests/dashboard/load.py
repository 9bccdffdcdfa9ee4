"""``make dashboard-load ROWS=n``: every page over a log of n verdicts while the real daemon judges ten frames a second beside it.

Windows without and with readers take turns, so that what else the machine does falls on both. Within the readers' windows a screen watches
the live stream and one page is asked for every half second; at the end of the first one the dashboard is killed and started anew.
Exit code 1 if a page took longer than a second, a verdict came to the screen later than that, a number is missing or the log is damaged.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from inspector.edge.instants import from_text, now, to_text
from inspector.edge.schema import open_database, transaction

ROOT = Path(__file__).parents[2]
STATION = "demo"
LABELS = ("surface_scratch", "slag_inclusion", "red_iron", "iron_sheet_ash", "finishing_roll_printing")
PAGES: tuple[str, ...] = (
    "/",
    "/-/defects",
    "/-/defects?by=hour&hours=0",
    "/-/defects?by=lot&hours=0",
    "/-/reviews",
    "/-/reviews?format=csv",
    "/-/learning",
)
PAGES += ("/-/assist", "/-/reports", "/-/reports?q=flank", "/-/health", "why")
PAGES += (f"/{STATION}", f"/{STATION}/inspections", f"/{STATION}/open_reviews")
LIMIT_S = 1.0
_BETWEEN_S = 0.5
_SPAN_S = 86_400.0


@dataclass
class Screen:
    """A screen that watches the live stream: how late each verdict came to it."""

    address: str
    late_s: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Listen until told to stop; a stream that breaks off is opened anew."""
        seen = 0
        while not self.stop.is_set():
            try:
                with urllib.request.urlopen(f"{self.address}/-/events", timeout=10) as stream:  # noqa: S310 - our own address
                    for line in stream:
                        if self.stop.is_set():
                            return
                        if line.startswith(b"data: "):
                            (tile,) = json.loads(line.removeprefix(b"data: "))
                            if seen and tile["seq"] > seen:
                                self.late_s.append(tile["age_s"])
                            seen = tile["seq"]
            except (OSError, ValueError):
                seen = 0
                self.stop.wait(0.5)


@click.command
@click.option("--rows", default=1_000_000, show_default=True, help="Verdicts in the log before it begins.")
@click.option("--windows", default=3, show_default=True, help="Windows without readers, and as many with them.")
@click.option("--seconds", default=30.0, show_default=True, help="Length of a window.")
@click.option("--folder", default="var/dashboard-load", show_default=True, type=click.Path(path_type=Path), help="Where everything lies.")
def main(rows: int, windows: int, seconds: float, folder: Path) -> None:
    """Measure, and print the tables. A log that is there from an earlier run is taken as it is."""
    console, folder = Console(width=120), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["STATE_DIRECTORY"] = str(folder)
    log = folder / f"{STATION}.db"
    began = time.monotonic()
    if log.exists():  # from an earlier run
        rows = newest(log)
    else:
        fill(log, rows)
    console.print(
        f"{rows:,} verdicts ready in {time.monotonic() - began:.0f} s, {log.stat().st_size / 1e6:,.0f} MB; load {os.getloadavg()[0]:.1f}"
    )
    times: dict[str, list[tuple[float, float]]] = {page: [] for page in PAGES}
    late_s: list[float] = []
    with running("run", STATION, *DAEMON) as daemon:
        wait(lambda: newest(log) > rows + 20)
        spans: dict[bool, list[tuple[datetime, datetime]]] = {False: [], True: []}
        for number in range(windows):
            spans[False].append(pause(seconds))
            spans[True].append(read(log, seconds, times, late_s, is_killed=number == 0))
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
    judge = {is_read: np.concatenate([ages_ms(log, span) for span in found]) for is_read, found in spans.items()}
    faults = tell(console, log, times, late_s, judge)
    (folder / "result.json").write_text(json.dumps({"pages_s": times, "late_s": late_s}) + "\n", encoding="utf-8")
    if faults:
        console.print("\n".join(faults), style="red")
        sys.exit(1)


DAEMON = tuple(
    word
    for setting in ("cameras.replay.loop=true", "cameras.replay.rate_hz=10", "mqtt.enabled=false", "reports.max_reports=0")
    for word in ("--set", setting)
)


def fill(log: Path, rows: int) -> None:
    """Write verdicts of the last day: nine of ten pass, the others fail or are in doubt; and a thousand reports."""
    database = open_database(log)
    begin, random = now() - timedelta(seconds=_SPAN_S), np.random.default_rng(1)
    kinds = random.choice(3, rows, p=[0.9, 0.08, 0.02])
    labels, ages, shares = (
        random.choice(len(LABELS), rows, p=[0.4, 0.25, 0.2, 0.1, 0.05]),
        random.gamma(9, 5, rows),
        random.uniform(0.4, 1, rows),
    )

    def verdicts() -> Iterator[tuple[object, ...]]:
        for n in range(rows):
            at, kind = to_text(begin + timedelta(seconds=_SPAN_S * n / rows)), ("pass", "fail", "review")[kinds[n]]
            label, share = LABELS[labels[n]], round(float(shares[n]), 4)
            posterior = json.dumps(
                [{"region": "frame", "scores": {label: share, LABELS[labels[n] - 1]: 1 - share}, "report_ids": [], "model": "m"}]
            )
            name = f"{n:08x}-0000-5000-8000-000000000000"
            evaluation = {"pass": "OK", "fail": "NotOK", "review": "NotDecidable"}[kind]
            yield (
                name, STATION, n + 1, "replay", f"f{n}", "steel-strip", f"L{n // 5000}", f"P{n}", at, at, float(ages[n]),
                float(ages[n]) - 5, kind,
                evaluation, f"frame: {label}", 0, label, share, "m@1", "[]", posterior, '{"total": 40}', 200, 200, None, None, 1, at,
            )  # fmt: skip

    with transaction(database):
        execute = database.conn.executemany
        marks = ", ".join("?" * 28)
        execute(f"INSERT INTO inspections ({', '.join(COLUMNS)}) VALUES ({marks})", verdicts())  # noqa: S608 - fixed names
        database.conn.execute("INSERT INTO sequences VALUES (?, ?)", (STATION, rows))
        words = [(f"QC-{n}", to_text(begin + timedelta(seconds=n)), f"scratch {n} on the left flank") for n in range(1000)]
        reports = ((name, at, "steel-strip", text, to_text(begin)) for name, at, text in words)
        execute("INSERT INTO reports (report_id, written_at, product, text, imported_at) VALUES (?, ?, ?, ?, ?)", reports)
    database.close()


COLUMNS = (
    "inspection_id", "station", "seq", "camera", "frame_id", "product", "lot", "part_id", "captured_at", "inspected_at", "frame_age_ms",
    "total_ms",
    "disposition", "evaluation", "reason", "is_fault", "label", "confidence", "model", "report_ids", "posterior", "timings_ms", "width_px",
    "height_px", "source", "image_path", "is_simulated", "published_at",
)  # fmt: skip


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a verb; it is killed if it does not end by itself."""
    command = [sys.executable, "-m", "inspector", "--root", str(ROOT), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def pause(seconds: float) -> tuple[datetime, datetime]:
    """Let the daemon work alone."""
    begin = now()
    time.sleep(seconds)
    return begin, now()


def read(
    log: Path, seconds: float, times: dict[str, list[tuple[float, float]]], late_s: list[float], *, is_killed: bool
) -> tuple[datetime, datetime]:
    """Start a dashboard, watch and visit; return when it was read."""
    with running("dashboard", STATION, "--port", "0") as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        if found is None:
            raise click.ClickException(process.stderr.read())
        screen = Screen(found.group())
        thread = threading.Thread(target=screen.watch, daemon=True)
        thread.start()
        begin, number = now(), 0
        while now() - begin < timedelta(seconds=seconds):
            page = PAGES[number % len(PAGES)]
            number += 1
            address = found.group() + path_of(page, log)
            asked, used = time.monotonic(), worked_s(process.pid)
            visit(address)
            times[page].append((time.monotonic() - asked, worked_s(process.pid) - used))
            time.sleep(max(0.0, _BETWEEN_S - times[page][-1][0]))
        end = now()
        screen.stop.set()
        process.send_signal(signal.SIGKILL if is_killed else signal.SIGTERM)
        process.wait(20)
        thread.join(20)
        late_s += screen.late_s
    return begin, end


def worked_s(pid: int) -> float:
    """Return the processor time that a program has had, seconds: on a machine with other work it tells more than a clock."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def visit(address: str) -> None:
    """Fetch a page whole."""
    try:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own address
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code != 503:  # broken off, after a time that is a fault by itself
            raise click.ClickException(f"{address}: {error}") from error


def path_of(page: str, log: Path) -> str:
    """Return a page's path; the page why is of the newest verdict."""
    if page != "why":
        return page
    with closing(sqlite3.connect(log)) as connection:
        found = connection.execute("SELECT inspection_id FROM inspections ORDER BY seq DESC LIMIT 1").fetchone()
    return f"/-/why/{STATION}/{found[0]}"


def newest(log: Path) -> int:
    """Return the last number given."""
    with closing(sqlite3.connect(log)) as connection:
        return int(connection.execute("SELECT last_seq FROM sequences").fetchone()[0])


def wait(condition: object) -> None:
    """Wait for the daemon's first verdicts."""
    until_s = time.monotonic() + 180
    while not condition():  # type: ignore[operator] # a condition
        if time.monotonic() > until_s:
            raise click.ClickException("the daemon judged nothing within three minutes")
        time.sleep(0.2)


def ages_ms(log: Path, span: tuple[datetime, datetime]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the frame ages of the verdicts of a window, milliseconds."""
    query = "SELECT frame_age_ms FROM inspections WHERE station = ? AND inspected_at BETWEEN ? AND ?"
    with closing(sqlite3.connect(log)) as connection:
        return np.array([row[0] for row in connection.execute(query, (STATION, *map(to_text, span)))], np.float64)


def tell(
    console: Console, log: Path, times: dict[str, list[tuple[float, float]]], late_s: list[float], judged: dict[bool, "np.ndarray"]
) -> list[str]:
    """Print the tables; return what was not as it must be."""
    table = Table("page", "times asked", "p50 ms", "max ms", "processor p50 ms", "processor max ms")
    for page, taken in times.items():
        clock, worked = np.array(taken or [(0.0, 0.0)]).T
        values = (np.median(clock), clock.max(), np.median(worked), worked.max())
        table.add_row(page, str(len(taken)), *(f"{1000 * value:.0f}" for value in values))
    console.print(table)
    beside = Table("frames judged", "verdicts", "p50 ms", "p99 ms", "max ms")
    for is_read, ages in judged.items():
        name = "with readers" if is_read else "alone"
        beside.add_row(name, str(len(ages)), *(f"{value:.0f}" for value in (*np.percentile(ages, [50, 99]), ages.max())))
    console.print(beside)
    late = np.array(late_s or [float("inf")])
    console.print(
        f"from verdict to screen: {len(late_s)} seen, p50 {np.median(late):.2f} s, max {late.max():.2f} s; load {os.getloadavg()[0]:.1f}"
    )
    with closing(sqlite3.connect(log)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
        count, last = connection.execute("SELECT count(*), max(seq) FROM inspections").fetchone()
        instant = from_text(connection.execute("SELECT max(inspected_at) FROM inspections").fetchone()[0])
    console.print(f"integrity {sound}; {count:,} verdicts, last number {last:,}, {datetime.now(UTC) - instant} old")
    slowest = {page: max(clock for clock, _ in taken) for page, taken in times.items() if taken}
    faults = [f"{page} took {clock:.2f} s" for page, clock in slowest.items() if clock > LIMIT_S]
    faults += [f"{page} was never asked for" for page, taken in times.items() if not taken]
    faults += [f"a verdict came to the screen after {late.max():.2f} s"] if late.max() > LIMIT_S else []
    return faults + ([f"integrity {sound}, {last - count} numbers missing"] if sound != "ok" or count != last else [])


if __name__ == "__main__":
    main()
