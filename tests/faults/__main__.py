"""``make faults``: the daemon and three common kinds of publisher through one and the same course of faults, and an account of each."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspector.edge.log import Log
from tests.faults.account import Account, account, total
from tests.faults.broker import Mosquitto, make_certificates
from tests.faults.course import Course
from tests.faults.plan import Fault, counted, disk_plan, main_plan
from tests.faults.proxy import Proxy
from tests.faults.station import PASSWORD, STAND_INS, Roads, build_checkpoint, open_daemon, open_stand_ins, station_names

_QUIET_S = 5.0
"""Silence at the subscriber after which nothing more is expected."""
_LONGEST_S = 90.0
"""How long the last messages may take."""


@dataclass(slots=True)
class Tally:
    """What the acts have come to."""

    accounts: dict[str, list[Account]] = field(default_factory=dict)
    """One account an act, by publisher."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often each fault came."""
    events: dict[str, int] = field(default_factory=dict)
    """What the daemon's log tells of it: kinds of events and how often."""
    kills: int = 0
    """How often the daemon was killed with SIGKILL."""
    remarks: list[str] = field(default_factory=list)
    """What went otherwise than it should."""


@click.command
@click.option("--verdicts", default=10_000, show_default=True, help="Verdicts to make in the first act; the number of faults follows it.")
@click.option("--seed", default=1, show_default=True, help="Seed of the plan.")
@click.option("--folder", default="var/faults", show_default=True, type=click.Path(path_type=Path), help="Where everything is left.")
def main(verdicts: int, seed: int, folder: Path) -> None:
    """Run the course and print the account; exit code 1 if the daemon's is not faultless."""
    console, began_s = Console(width=150), time.monotonic()
    console.print(f"faults: {verdicts} verdicts, seed {seed}, everything below {folder}", highlight=False)
    root = folder.resolve() / "work"
    shutil.rmtree(root, ignore_errors=True)
    build_checkpoint(root)
    rng, tally = random.Random(seed), Tally()  # noqa: S311 - no secret
    with ExitStack() as parts:
        tls = root / "tls"
        make_certificates(tls)
        broker = Mosquitto(root / "broker", tls, [*station_names(1), *station_names(2)], PASSWORD)
        broker.start()
        parts.callback(broker.stop)
        proxy = Proxy(broker.port)
        parts.callback(proxy.close)
        record = parts.enter_context(_recorder(root, broker.port, tls))
        stage = Stage(root, broker, proxy, Roads(proxy.port, tls / "broker.pem"), record, console, tally)
        stage.play(1, root / "state-1", main_plan(verdicts, rng), verdicts)
        with _small_disk(root / "state-2") as disk:
            if disk is None:
                console.print("disk full: skipped: needs root (it mounts a small tmpfs)")
            else:
                stage.play(2, disk, disk_plan(max(40, verdicts // 20), rng), max(40, verdicts // 20))
    _report(console, folder, tally, seed, time.monotonic() - began_s)


@dataclass(frozen=True, slots=True)
class Stage:
    """What both acts share."""

    root: Path
    """Folder of the run."""
    broker: Mosquitto
    """The broker."""
    proxy: Proxy
    """The network."""
    roads: Roads
    """How publishers reach the broker."""
    record: Path
    """File in which the subscriber writes what arrives."""
    console: Console
    """Where progress is shown."""
    tally: Tally
    """What has come of it."""

    def play(self, act: int, state: Path, plan: Sequence[Fault], verdicts: int) -> None:
        """Play one act and add its account to the tally."""
        state.mkdir(parents=True, exist_ok=True)
        daemon, feed = open_daemon(self.root, act, state, self.roads)
        stand_ins = open_stand_ins(self.root, act, state, self.roads)
        course = Course(self.broker, self.proxy, daemon, stand_ins, feed, state)
        done = 0

        def show(fault: Fault, count: int) -> None:
            nonlocal done
            done += 1
            if done % 10 == 0 or len(plan) < 20:
                self.console.print(f"act {act}: fault {done}/{len(plan)} ({fault.kind}), {count} verdicts logged", highlight=False)

        try:
            course.run(plan, verdicts, show)
            _wait_until_quiet(self.record)
        finally:
            for program in stand_ins:
                program.end(10.0)
            daemon.kill()
        self._add(course, plan)

    def _add(self, course: Course, plan: Sequence[Fault]) -> None:
        """Account for every publisher of an act."""
        arrivals = [json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines()]
        for label, program in zip(("inspector", *STAND_INS), course.programs, strict=True):
            mine = [(line["seq"], line["inspection_id"]) for line in arrivals if line["publisher"] == program.name]
            self.tally.accounts.setdefault(label, []).append(account(label, program.made(), mine))
        for kind, count in counted(plan).items():
            self.tally.faults[kind] = self.tally.faults.get(kind, 0) + count
        self.tally.kills += course.daemon.kills
        self.tally.remarks += course.remarks
        if waiting := course.feed.waiting():
            self.tally.remarks.append(f"{course.daemon.name}: {waiting} messages still wait in the outbox")
        with Log(course.state / "inspector.db", course.daemon.name) as log:
            for event in log.events(limit=100_000):
                self.tally.events[event.kind] = self.tally.events.get(event.kind, 0) + 1


@contextmanager
def _recorder(root: Path, port: int, tls: Path) -> Iterator[Path]:
    """Run the subscriber; yield its file."""
    path = root / "arrived.jsonl"
    arguments = [str(port), str(tls / "broker.pem"), PASSWORD, str(path), "recorder"]
    with (root / "recorder.log").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "tests.faults.recorder", *arguments], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while not path.with_suffix(".ready").exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"the subscriber did not subscribe; see {root}/recorder.log")
            time.sleep(0.05)
        yield path
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _small_disk(path: Path) -> Iterator[Path | None]:
    """Mount a tmpfs of 64 MB; None if that is not allowed."""
    path.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "faults", str(path)], check=False).returncode:
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _wait_until_quiet(record: Path) -> None:
    """Return when nothing has arrived for a while."""
    size, since_s, deadline = -1, time.monotonic(), time.monotonic() + _LONGEST_S
    while time.monotonic() < min(deadline, since_s + _QUIET_S):
        if record.stat().st_size != size:
            size, since_s = record.stat().st_size, time.monotonic()
        time.sleep(0.1)


def _report(console: Console, folder: Path, tally: Tally, seed: int, took_s: float) -> None:
    """Print the account, write it as JSON, and end with exit code 1 if the daemon's is not faultless."""
    accounts = [total(parts) for parts in tally.accounts.values()]
    headings = ["publisher", "made", "arrived", "lost", "not logged", "doubles", "doubles by id", "gaps", "gaps in log", "order breaks"]
    table = Table(*headings, title="verdicts made and arrived")
    for entry in accounts:
        table.add_row(*(str(value) for value in asdict(entry).values()))
    console.print(table)
    console.print("faults: " + ", ".join(f"{count} x {kind}" for kind, count in sorted(tally.faults.items())), highlight=False)
    console.print(f"the daemon was killed {tally.kills} times; its log tells: {json.dumps(tally.events)}", highlight=False)
    for remark in tally.remarks:
        console.print(f"remark: {remark}", highlight=False)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "seed": seed, "took_s": round(took_s, 1), "faults": tally.faults,
        "kills": tally.kills, "events": tally.events, "remarks": tally.remarks, "accounts": [asdict(entry) for entry in accounts],
        "acts": {name: [asdict(part) for part in parts] for name, parts in tally.accounts.items()},
    }  # fmt: skip
    target = folder / "result.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    passed = accounts[0].is_faultless and not tally.remarks
    console.print(f"{'PASSED' if passed else 'FAILED'} in {took_s / 60:.1f} min, seed {seed}; numbers in {target}", highlight=False)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
