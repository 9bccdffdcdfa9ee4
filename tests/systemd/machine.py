"""This machine's own systemd, booted as PID 1 of new namespaces on an overlay of the root in memory; it ends with its context."""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path(__file__).with_name("boot.sh")
_SOURCE = Path(__file__).parents[2]
_TIMEOUT_S = 90.0
_NEEDED = ("unshare", "nsenter", "pivot_root", "ip", "systemctl", "systemd-analyze", "mosquitto", "mosquitto_passwd", "mosquitto_sub")
_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net")


def missing() -> str | None:
    """Return what this machine lacks for it, or None."""
    if os.geteuid() != 0:
        return "root"
    absent = [name for name in _NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    return ", ".join(absent) or None


@dataclass(frozen=True, slots=True)
class Machine:
    """The booted systemd."""

    pid: int
    """Its number as seen from outside."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside it, without a terminal; the output is text."""
        inside = ["nsenter", "-t", str(self.pid), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def show(self, unit: str, key: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", key, unit).stdout.strip()

    def path(self, path: str) -> Path:
        """Return where a path of its root lies for us."""
        return Path(f"/proc/{self.pid}/root{path}")


def wait_for(condition: Callable[[], bool], timeout_s: float = _TIMEOUT_S) -> bool:
    """Return whether a condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def booted(folder: Path, stage: Path) -> Iterator[Machine]:
    """Boot with the files of ``stage`` laid over the root; console output goes to ``folder/console.log``."""
    (folder / "overlay").mkdir()
    parts = [folder / "overlay", stage, Path(sys.base_prefix), Path(sysconfig.get_path("purelib")), _SOURCE]
    # --kill-child: when we end, so does the init of the namespace, and with it everything inside.
    command = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "sh", str(_BOOT), *map(str, parts)]
    with _cgroup(folder / "cgroup") as group, (folder / "console.log").open("wb") as console:
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group), *command]
        process = subprocess.Popen(enter, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            machine = Machine(_child_of(process))
            if not wait_for(lambda: machine.run("systemctl", "is-active", "proof.target").stdout.strip() == "active"):
                raise SystemExit("systemd did not boot:\n" + (folder / "console.log").read_text(encoding="utf-8", errors="replace"))
            yield machine
        finally:
            process.kill()
            process.wait()


def _child_of(process: subprocess.Popen[bytes]) -> int:
    """Return the only child of a process, once it has one."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not wait_for(lambda: process.poll() is not None or bool(children.read_text(encoding="ascii").split())) or process.poll() is not None:
        raise SystemExit("no new namespaces can be made here; it needs root with CAP_SYS_ADMIN")
    return int(children.read_text(encoding="ascii").split()[0])


@contextmanager
def _cgroup(mount: Path) -> Iterator[Path]:
    """Make a control group of our own, which the new namespace takes for the root of all; remove it at the end."""
    mount.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(mount)], check=True)
    group = mount / f"inspector-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        wait_for(lambda: "populated 0" in (group / "cgroup.events").read_text(encoding="ascii"), 10.0)
        for path in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                path.rmdir()
        with suppress(OSError):
            group.rmdir()
        subprocess.run(["umount", str(mount)], check=False)
