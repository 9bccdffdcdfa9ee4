"""``make soak MINUTES=n``: the real daemon on the looped demo station against a real broker, watched from outside.

Writes samples.csv (a line every ten seconds), soak.png and result.json. Exit code 1 if the daemon ended by itself or messages wait.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspector.demo.broker import running_broker
from tests.soak.picture import draw
from tests.soak.sampling import Sample, take
from tests.soak.trend import Trend, trend

ROOT = Path(__file__).parents[2]
STATION = "demo"
_EVERY_S = 10.0
_WARM_UP = 0.1
"""Share of the samples, at the begin, that no trend is taken from; at least a minute, in which caches fill."""
FIGURES = {
    "rss_mib": "memory, MiB",
    "descriptors": "file descriptors",
    "wal_kib": "write-ahead log, KiB",
    "threads": "threads",
    "p50_ms": "capture to verdict, p50, ms",
    "p99_ms": "capture to verdict, p99, ms",
}
"""Figures with a trend, and what they are."""


@click.command
@click.option("--minutes", default=120.0, show_default=True, help="How long.")
@click.option("--rate", default=10.0, show_default=True, help="Frames a second.")
@click.option("--folder", default="var/soak", show_default=True, type=click.Path(path_type=Path), help="Where everything is left.")
def main(minutes: float, rate: float, folder: Path) -> None:
    """Run the soak and print the trends."""
    console, folder = Console(width=120), folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    console.print(f"soak: station {STATION}, {rate:g} frames/s, {minutes:g} min, everything below {folder}", highlight=False)
    with running_broker(folder) as broker, _daemon(folder, broker.port, rate) as process:
        samples = _watch(process, folder, minutes * 60.0, console)
        has_died = process.poll() is not None
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    trends = {name: trend(*_columns(_settled(samples), name)) for name in FIGURES}
    draw(folder / "soak.png", samples, FIGURES, trends, f"inspector: {rate:g} frames/s, {minutes:g} min, broker {broker.name}")
    _report(console, folder, samples, trends)
    if has_died or code or samples[-1].waiting > 100:
        console.print(f"FAILED: ended by itself: {has_died}, exit code {code}, waiting {samples[-1].waiting}; see {folder}/daemon.log")
        sys.exit(1)


@contextmanager
def _daemon(folder: Path, port: int, rate: float) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo station in a state folder of its own."""
    environment = os.environ | {"STATE_DIRECTORY": str(folder), "PYTHONUNBUFFERED": "1"}
    verb = [sys.executable, "-m", "inspector", "--root", str(ROOT)]
    reports = ROOT / "calibration" / STATION / "reports.csv"
    subprocess.run([*verb, "reports", "import", STATION, str(reports)], check=True, env=environment, stdout=subprocess.DEVNULL)
    overrides = {"mqtt.port": str(port), "cameras.replay.loop": "true", "cameras.replay.rate_hz": str(rate)}
    settings = [part for key, value in overrides.items() for part in ("--set", f"{key}={value}")]
    with (folder / "daemon.log").open("wb") as output:
        process = subprocess.Popen([*verb, "run", STATION, *settings], stdout=output, stderr=output, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen[bytes], folder: Path, lasts_s: float, console: Console) -> Sequence[Sample]:
    """Sample until the time is over or the daemon has ended; write each sample at once."""
    database, began_s, samples = folder / f"{STATION}.db", time.monotonic(), list[Sample]()
    with (folder / "samples.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        writer.writeheader()
        for number in range(1, int(lasts_s // _EVERY_S) + 1):
            time.sleep(max(0.0, began_s + number * _EVERY_S - time.monotonic()))
            if process.poll() is not None:
                break
            samples.append(take(process.pid, database, began_s))
            writer.writerow(asdict(samples[-1]))
            stream.flush()
            if number % 6 == 0:
                last = samples[-1]
                told = f"{last.verdicts} verdicts, {last.rss_mib:.0f} MiB, {last.descriptors} descriptors, p99 {last.p99_ms:.0f} ms"
                console.print(f"{last.at_s / 60:5.1f} min: {told}", highlight=False)
    if not samples:
        raise SystemExit(f"the daemon gave no sample; see {folder}/daemon.log")
    return samples


def _settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Leave out the warm-up."""
    return samples[max(round(len(samples) * _WARM_UP), int(60 / _EVERY_S)) :]


def _columns(samples: Sequence[Sample], name: str) -> tuple[list[float], list[float]]:
    """Return the instants and one figure."""
    return [sample.at_s for sample in samples], [float(getattr(sample, name)) for sample in samples]


def _report(console: Console, folder: Path, samples: Sequence[Sample], trends: Mapping[str, Trend | None]) -> None:
    """Print and write what it came to."""
    table = Table("figure", "first", "last", "highest", "an hour", "95 % interval")
    settled = _settled(samples) or samples
    for name, title in FIGURES.items():
        values, line = _columns(settled, name)[1], trends[name]
        slope = ("-", "too few samples") if line is None else (f"{line.per_hour:+.2f}", f"{line.low:+.2f} .. {line.high:+.2f}")
        table.add_row(title, f"{values[0]:g}", f"{values[-1]:g}", f"{max(values):g}", *slope)
    console.print(table)
    last = samples[-1]
    console.print(
        f"{last.verdicts} verdicts in {last.at_s / 60:.1f} min, {last.waiting} wait; numbers and picture in {folder}", highlight=False
    )
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round(last.at_s / 60, 1),
        "verdicts": last.verdicts,
        "trends_per_hour": {name: None if line is None else asdict(line) for name, line in trends.items()},
    }
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
