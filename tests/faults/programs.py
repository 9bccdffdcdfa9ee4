"""A publisher's process: started, killed, ended; what it says goes to a file."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.account import Verdicts


class Program:
    """One publisher under test. ``command`` gets the broker's host."""

    def __init__(self, name: str, command: Callable[[str], Sequence[str]], output: Path, made: Callable[[], Verdicts]) -> None:
        """Name it; it does not run yet. ``made`` tells what stands in its log."""
        self.name = name
        self.made = made
        self.output = output
        self.kills = 0
        self.deaths: list[int] = []
        """Exit codes of ends that nobody asked for."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, host: str = "127.0.0.1") -> None:
        """Start it."""
        with self.output.open("ab") as stream:
            environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
            self._process = subprocess.Popen(self._command(host), stdout=stream, stderr=stream, env=environment)

    def kill(self) -> None:
        """End it with SIGKILL, at whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self.kills += 1
        self._reap()

    def end(self, timeout_s: float = 30.0) -> int:
        """Ask it to end and return its exit code; kill it if it does not."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return its exit code; kill it if it does not come."""
        process = self._process
        if process is None:
            return 0
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._process = None
        return code

    def revive(self) -> None:
        """Start it again if it has ended by itself, as systemd would."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self.deaths.append(code)
            self.start()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
