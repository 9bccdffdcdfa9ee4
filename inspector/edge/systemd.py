"""Life signs for systemd (sd_notify(3)): without ``NOTIFY_SOCKET`` in the environment every call does nothing."""

import os
import socket
import time
from collections.abc import Mapping


class Systemd:
    """The service manager, as told by the environment."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``."""
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_us = environ.get("WATCHDOG_USEC", "")
        self._watchdog_pid = environ.get("WATCHDOG_PID", "")

    def ready(self, status: str) -> None:
        """Tell that the start is over."""
        self._notify("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Tell that the settings are read anew; ``ready`` tells that it is over."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._notify(f"STATUS={_line(text)}")

    def ping(self) -> None:
        """Feed the watchdog: only while frames, publisher and disk are alive."""
        self._notify("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for more time to start or stop, counted from now."""
        self._notify(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def stopping(self, status: str) -> None:
        """Tell that the stop has begun."""
        self._notify("STOPPING=1", f"STATUS={_line(status)}")

    def watchdog_period_s(self) -> float | None:
        """Return how often to ping, seconds: half the time after which systemd would kill us; None without a watchdog."""
        is_ours = self._watchdog_pid in {"", str(os.getpid())}
        return int(self._watchdog_us) / 2_000_000 if self._watchdog_us.isdigit() and int(self._watchdog_us) > 0 and is_ours else None

    def _notify(self, *lines: str) -> None:
        """Send one datagram. A manager that has gone away is no reason to stop inspecting."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto("\n".join(lines).encode(), address)
            except OSError:
                return


def _line(text: str) -> str:
    """Return text on one line: a line feed would begin another message."""
    return " ".join(text.split())
