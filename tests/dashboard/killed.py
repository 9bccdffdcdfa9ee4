"""``make dashboard-kills KILLS=n SEED=m``: dashboard and daemon killed with -9 in turn, under load: no lock left, no row lost.

The real daemon judges twenty frames a second and publishes to a real mosquitto; the real dashboard is read by four readers, one of
whom signs reviews. At random instants one of the two is killed, alternately, and started anew a moment later. Exit code 1 if a lock
outlives its holder, a verdict or a signed review is missing in the log or at the subscriber, a number has a gap, or a page fails.
"""

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from inspector.dashboard.users import set_password
from inspector.edge.lock import look_at_lock
from inspector.edge.log import Log, database_path
from inspector.edge.review_slips import slip_folder, waiting
from inspector.settings import StationSettings
from tests.dashboard.board_visits import PASSWORD, STATION, USER, Reader, Told
from tests.edge.conftest import Mosquitto, Subscriber
from tests.faults.account import Account, account
from tests.faults.station import build_checkpoint
from tests.station_kit import write_pictures, write_station

_BACK_S = 90.0
"""Longest time that a program may take to work again."""
_LOCK_S = 1.0
"""Longest time that the log may be locked after its writer was killed."""


@dataclass(slots=True)
class Result:
    """What came of it."""

    kills: dict[str, int] = field(default_factory=lambda: {"daemon": 0, "dashboard": 0})
    longest_lock_s: float = 0.0
    longest_back_s: dict[str, float] = field(default_factory=lambda: {"daemon": 0.0, "dashboard": 0.0})
    account: Account | None = None
    signed: int = 0
    """Reviews that the dashboard has said it keeps."""
    signed_logged: int = 0
    signed_published: int = 0
    told: Told = field(default_factory=Told)
    faults: list[str] = field(default_factory=list)
    """What was not as it must be; empty: all is well."""


class Pair:
    """Daemon and dashboard of one station."""

    def __init__(self, root: Path, settings: StationSettings, port: int, *, has_users: bool = True) -> None:
        self.root, self.settings, self.port = root, settings, port
        self.users = ("--users", "users.toml") if has_users else ()
        self.log = database_path(settings, root)
        self.told = (root / "programs.txt").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one of the two."""
        words = ["run", STATION] if name == "daemon" else ["dashboard", STATION, *self.users, "--port", str(self.port)]
        command = [sys.executable, "-m", "inspector", "--root", str(self.root), *words]
        environment = os.environ | {"STATE_DIRECTORY": "", "PYTHONPATH": str(Path(__file__).parents[2])}
        self.processes[name] = subprocess.Popen(command, cwd=self.root, stdout=self.told, stderr=self.told, env=environment)

    def end(self, name: str, how: signal.Signals) -> int:
        """End one of the two; return its exit code."""
        process = self.processes.pop(name)
        process.send_signal(how)
        return process.wait(60)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.told.close()

    def works(self, name: str) -> bool:
        """Return whether it answers, or judges: a number is given that was not before."""
        if self.processes[name].poll() is not None:
            raise click.ClickException(f"the {name} has ended by itself: see {self.told.name}")
        if name == "daemon":
            return look_at_lock(self.log).is_there and newest(self.log) > self.seen
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    seen = 0
    """Last number before the daemon was killed."""


def newest(log: Path) -> int:
    """Return the last number given, 0 before the first."""
    with closing(sqlite3.connect(f"{log.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sequences'").fetchone():
            return 0
        found = connection.execute("SELECT last_seq FROM sequences").fetchone()
    return int(found[0]) if found else 0


def locked_s(log: Path) -> float:
    """Take the write lock that a killed program may have left, and give it back; return how long that took, seconds."""
    began_s = time.monotonic()
    with closing(sqlite3.connect(log, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return time.monotonic() - began_s


def back(condition: Callable[[], bool]) -> float:
    """Wait for a program to work again; return how long that took. Raises if it does not."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > _BACK_S:
            raise click.ClickException(f"not back after {_BACK_S:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began_s


def kill_in_turn(pair: Pair, kills: int, choice: random.Random, result: Result) -> None:
    """Kill one after the other; each time look for locks, then start it anew."""
    for number in range(kills):
        name = ("daemon", "dashboard")[number % 2]
        time.sleep(choice.uniform(0.3, 2.5))
        pair.seen = newest(pair.log)
        pair.end(name, signal.SIGKILL)
        result.kills[name] += 1
        if name == "daemon" and look_at_lock(pair.log).is_there:
            result.faults.append(f"kill {number + 1}: the station's lock is held although its daemon is dead")
        result.longest_lock_s = max(result.longest_lock_s, locked_s(pair.log))
        time.sleep(choice.uniform(0.0, 0.8))
        pair.start(name)
        taken_s = back(lambda name=name: pair.works(name))  # type: ignore[misc] # the default binds the loop's name
        result.longest_back_s[name] = max(result.longest_back_s[name], taken_s)
        if name == "dashboard":
            pair.seen = newest(pair.log)
            back(lambda: newest(pair.log) > pair.seen)  # the daemon goes on
    if result.longest_lock_s > _LOCK_S:
        result.faults.append(f"the log was locked for {result.longest_lock_s:.1f} s after a kill")


def settle(pair: Pair, heard: Subscriber, result: Result) -> None:
    """End both in order and compare what was made with what has arrived."""
    back(lambda: not set(slips(pair)) - {f"{name}.json" for name in reviewed(pair)})  # taken in; the dashboard clears them away
    for name in ("dashboard", "daemon"):
        code = pair.end(name, signal.SIGTERM)
        if code not in {0, -signal.SIGTERM}:  # uvicorn ends in order, then lets the signal do the rest
            result.faults.append(f"the {name} ended with {code}")
    with Log(pair.log, STATION, read_only=True) as log:
        made = [(one.seq, one.inspection_id) for one in log.find(limit=10**7) if one.seq is not None]
    made.sort()
    back(lambda: len({body["inspection_id"] for body in heard.bodies("/result")}) >= len(made))
    result.account = account("daemon", made, [(body["seq"], body["inspection_id"]) for body in heard.bodies("/result")])
    if not result.account.is_faultless:
        result.faults.append(f"the account is not faultless: {result.account}")
    logged, signed = set(reviewed(pair).values()), result.told.signed
    published = {body["note"] for body in heard.bodies("/review")}
    result.signed, result.signed_logged, result.signed_published = len(signed), len(set(signed) & logged), len(set(signed) & published)
    if not signed or {*signed} - logged or {*signed} - published:
        result.faults.append(f"of {len(signed)} signed reviews {result.signed_logged} are logged, {result.signed_published} published")
    _look_at_the_log(pair, result)


def _look_at_the_log(pair: Pair, result: Result) -> None:
    """Look for damage and for what a lock would leave."""
    with closing(sqlite3.connect(pair.log, timeout=1)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
        foreign = connection.execute("PRAGMA foreign_key_check").fetchall()
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        waits = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    if sound != "ok" or foreign:
        result.faults.append(f"integrity {sound}, {len(foreign)} broken references")
    if busy or look_at_lock(pair.log).is_there:
        result.faults.append("somebody holds a lock although nobody runs")
    if waits:
        result.faults.append(f"{waits} messages still wait in the outbox")
    result.faults += result.told.faults


def slips(pair: Pair) -> list[str]:
    return waiting(slip_folder(pair.log, STATION))


def reviewed(pair: Pair) -> dict[str, str]:
    """Return the notes in the log by their review."""
    with closing(sqlite3.connect(f"{pair.log.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        return dict(connection.execute("SELECT review_id, note FROM reviewed").fetchall())


@contextmanager
def readers(port: int, told: Told) -> Iterator[None]:
    """Let four readers loose until the end of the block."""
    stop = threading.Event()
    people = [Reader(port, told, stop) for _ in range(4)]
    for one in people:
        one.log_in()
    works = (people[0].visit, people[1].visit, people[2].watch, people[3].sign)
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(40)


def prove(root: Path, kills: int, seed: int, rate_hz: float = 20.0) -> Result:
    """Run the whole course below an empty folder."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise click.ClickException("mosquitto is not installed: apt-get install mosquitto")
    result, choice = Result(), random.Random(seed)  # noqa: S311 - no secret
    build_checkpoint(root)
    (root / "broker").mkdir(parents=True)
    broker = Mosquitto(program, root / "broker")
    camera = f'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = {rate_hz}'
    settings = write_station(
        root, STATION, cameras_line=camera, mqtt=f"port = {broker.port}", log='keep_images = "review"\nmin_free_bytes = 0'
    )
    write_pictures(settings.folder / "frames", 4)
    set_password(root / "users.toml", USER, PASSWORD, ("review",))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        pair = Pair(root, settings, int(probe.getsockname()[1]))
    broker.start()
    heard = Subscriber(broker.port, "inspector/#")
    try:
        for name in ("daemon", "dashboard"):
            pair.start(name)
        back(lambda: pair.log.exists() and newest(pair.log) > 0)
        back(lambda: pair.works("dashboard"))
        with readers(pair.port, result.told):
            kill_in_turn(pair, kills, choice, result)
            time.sleep(2.0)
        settle(pair, heard, result)
    finally:
        pair.close()
        heard.close()
        broker.kill()
    return result


@click.command
@click.option("--kills", default=40, show_default=True, help="How often one of the two is killed.")
@click.option("--seed", default=1, show_default=True, help="Seed of the instants.")
@click.option("--folder", default="var/dashboard-kills", show_default=True, type=click.Path(path_type=Path), help="Where everything lies.")
def main(kills: int, seed: int, folder: Path) -> None:
    """Kill, compare, print."""
    root = folder.resolve()
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    result = prove(root, kills, seed)
    tally = {"killed": result.kills, "longest lock, s": round(result.longest_lock_s, 3), "longest way back, s": result.longest_back_s}
    for name, value in tally.items():
        click.echo(f"{name}: {value}")
    told = result.told
    click.echo(f"pages answered: {dict(told.statuses)}; cut off or nobody there: {told.cut_off}; tiles over the stream: {told.events}")
    click.echo(f"verdicts: {result.account}")
    click.echo(f"reviews signed {result.signed}, logged {result.signed_logged}, published {result.signed_published}")
    (root / "result.json").write_text(json.dumps({"faults": result.faults, "kills": result.kills}) + "\n", encoding="utf-8")
    if result.faults:
        click.echo("\n".join(["FAILED", *result.faults[:20]]))
        sys.exit(1)
    click.echo("no lock left, no row lost")


if __name__ == "__main__":
    main()
