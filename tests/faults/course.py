"""The course of one act: the plan's faults, one after the other, against all publishers at the same moment."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.broker import Mosquitto
from tests.faults.feed import Feed
from tests.faults.plan import Fault, Kind
from tests.faults.programs import Program
from tests.faults.proxy import Proxy

_PATIENCE_S = 120.0
"""How long the daemon may take to log what the plan waits for."""
_ALIVE_VERDICTS = 50
"""Verdicts that tell that the daemon is up."""
_LAST_TRIES = 3
"""How often the daemon may be stopped and started until its outbox is empty."""
_UNKNOWN_HOST = "no-such-broker.invalid"


@dataclass(slots=True)
class Course:
    """One act."""

    broker: Mosquitto
    """The broker."""
    proxy: Proxy
    """The network."""
    daemon: Program
    """The daemon."""
    stand_ins: Sequence[Program]
    """The others."""
    feed: Feed
    """The daemon's verdicts."""
    state: Path
    """Folder on the disk that can become full."""
    remarks: list[str] = field(default_factory=list)
    """What went otherwise than it should."""

    @property
    def programs(self) -> list[Program]:
        """All publishers."""
        return [self.daemon, *self.stand_ins]

    def run(self, plan: Sequence[Fault], verdicts: int, show: Callable[[Fault, int], None]) -> None:
        """Carry out the plan, then let at least so many verdicts be made, heal everything and let all publishers finish."""
        self._start()
        for fault in plan:
            self._wait_for(fault.verdicts)
            self._carry_out(fault)
            show(fault, self.feed.count)
        self._wait_for(max(0, verdicts - self.feed.count))
        self._finish()

    def _carry_out(self, fault: Fault) -> None:
        """Let one fault happen and end."""
        acts: dict[Kind, Callable[[Fault], None]] = {
            "kill -9": self._kill,
            "kill -9 while starting": self._kill,
            "broker stopped": lambda fault: self._stop_broker(fault, signal.SIGTERM),
            "broker kill -9": lambda fault: self._stop_broker(fault, signal.SIGKILL),
            "silent network": self._silence,
            "unknown name": self._lose_name,
            "stranger's certificate": self._show_stranger,
            "access denied": self._deny,
            "disk full": self._fill_disk,
        }
        acts[fault.kind](fault)

    def _kill(self, fault: Fault) -> None:
        time.sleep(fault.lasts_s)
        self._restart()

    def _stop_broker(self, fault: Fault, number: signal.Signals) -> None:
        self.broker.stop(number)
        self._spell(fault)
        self.broker.start()

    def _silence(self, fault: Fault) -> None:
        self.proxy.fall_silent()
        self._spell(fault)
        self.proxy.speak()

    def _lose_name(self, fault: Fault) -> None:
        self._restart(_UNKNOWN_HOST)
        self._spell(fault)
        self._restart()

    def _show_stranger(self, fault: Fault) -> None:
        self.broker.stop()
        self.broker.start("stranger")
        self._spell(fault)
        self.broker.stop()
        self.broker.start()

    def _deny(self, fault: Fault) -> None:
        self.broker.allow_results(allowed=False)
        self._spell(fault)
        self.broker.allow_results(allowed=True)

    def _fill_disk(self, fault: Fault) -> None:
        """Fill the disk: the daemon must end by itself, with an error that says why; a start on the full disk must end likewise."""
        ballast = self.state / "ballast"
        _fill(ballast)
        for attempt in ("the daemon", "a daemon started on the full disk"):
            code = self.daemon.wait(30.0)
            told = self.daemon.output.read_text(encoding="utf-8", errors="replace")[-2000:]
            if code <= 0 or "disk is full" not in told:
                self.remarks.append(f"disk full: {attempt} ended with exit code {code}; its last words: {told[-300:].strip()}")
            if attempt == "the daemon":
                self.daemon.start()
        time.sleep(fault.lasts_s)
        ballast.unlink()
        self._start()

    def _spell(self, fault: Fault) -> None:
        """Let a fault last; kill the publishers in its midst if the plan says so."""
        before_s = fault.lasts_s if fault.kill_after_s is None else fault.kill_after_s
        time.sleep(before_s)
        if fault.kill_after_s is not None:
            self._restart()
            time.sleep(fault.lasts_s - before_s)

    def _start(self) -> None:
        self.daemon.start()
        for program in self.stand_ins:
            program.kill()
            program.start()

    def _restart(self, host: str = "127.0.0.1") -> None:
        """Kill every publisher at the same moment and start it again."""
        for program in self.programs:
            program.kill()
        for program in self.programs:
            program.start(host)

    def _wait_for(self, verdicts: int) -> None:
        """Wait until so many verdicts more are logged."""
        target, deadline = self.feed.count + verdicts, time.monotonic() + _PATIENCE_S
        while self.feed.count < target:
            for program in self.programs:
                program.revive()
            if time.monotonic() > deadline:
                last = self.daemon.output.read_text(encoding="utf-8", errors="replace")[-1500:]
                seen = f"{self.feed.count} verdicts were seen in the daemon's log and no more come ({self.feed.error})"
                raise SystemExit(f"{seen}; its last words:\n{last}")
            time.sleep(0.02)

    def _finish(self) -> None:
        """Stop the daemon as systemd would; it empties its outbox. The stand-ins get the time that they need."""
        for _ in range(_LAST_TRIES):
            self._wait_for(_ALIVE_VERDICTS)
            code = self.daemon.end(60.0)
            if code:
                self.remarks.append(f"{self.daemon.name}: a stop ended with exit code {code}")
            if self.feed.waiting() == 0:
                break
            self.daemon.start()
        self.feed.close()
        self.remarks += [f"{self.daemon.name} ended by itself with exit code {code}" for code in self.daemon.deaths]


def _fill(path: Path) -> None:
    """Write a file until nothing more goes onto the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for chunk_bytes in (65_536, 512, 1):
            try:
                while os.write(descriptor, b"\0" * chunk_bytes):
                    pass
            except OSError:  # full, or too full for so much
                continue
    finally:
        os.close(descriptor)
