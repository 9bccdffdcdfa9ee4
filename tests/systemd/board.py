"""The dashboard's unit under the real systemd: it starts, answers, asks, is shut in, reads the log that it may not write, and stops."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.systemd.machine import Machine, wait_for
from tests.systemd.stage import BOARD_PORT, PYTHON, QUESTION, STATION

UNIT = "inspector-dashboard.service"
_USER = "inspector-dashboard"
_LONGEST_STOP_S = 10.0
"""TimeoutStopSec of the unit."""
_PATHS = (
    "PYTHONPATH=/opt/inspector/source:/opt/inspector/packages",
    "LD_LIBRARY_PATH=/opt/inspector/python/lib",
    "PYTHONDONTWRITEBYTECODE=1",
)
_LOG = f"/var/lib/inspector/{STATION}.db"
_FORBIDDEN = (_LOG, "/var/lib/inspector/new", "/etc/inspector/new", "/usr/new", "/opt/new", "/home/new", "/root/new", "/var/new")
_ALLOWED = ("/var/lib/inspector/reviews/new", "/tmp/new")


def starts(machine: Machine) -> tuple[bool, str]:
    """With Type=notify it is active when it answers."""
    machine.run("systemctl", "start", UNIT)
    state, status = machine.show(UNIT, "ActiveState"), machine.show(UNIT, "StatusText")
    return state == "active" and f"dashboard of {STATION}" in status, f"{state}, {status}"


def answers(machine: Machine) -> tuple[bool, str]:
    """A login, pages, a picture, a review that the daemon takes in, a typed question, one about a picture, a spoken one."""
    found = _probe(machine)
    asked, anew, heard = (found.get(key) or {} for key in ("asked", "judged anew", "heard"))
    is_well = (
        (found.get("without a login"), found.get("wall"), found.get("picture"), found.get("review")) == (302, 200, 200, 303)
        and bool(found.get("judged"))
        and isinstance(asked, dict) and "The station is running" in asked["answer"]
        and isinstance(anew, dict) and anew["picture"] == "file"
        and (not machine.path(QUESTION).exists() or (isinstance(heard, dict) and heard["transcript"] == "how is the station"))
    )  # fmt: skip
    taken = wait_for(lambda: "under systemd" in _log_says(machine, "SELECT note FROM reviewed"), 30.0)
    return is_well and taken, f"{json.dumps(found)}, review taken in: {taken}"


def is_shut_in(machine: Machine) -> tuple[bool, str]:
    """Its process has no rights left; from where it stands nothing but the slips of reviews and its own /tmp can be written."""
    pid = machine.show(UNIT, "MainPID")
    told = dict(line.split(":\t", 1) for line in machine.path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    bounds = {key: told[key].strip() for key in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")}
    written = [path for path in (*_FORBIDDEN, *_ALLOWED) if _may_write(machine, pid, path)]
    nothing = f"{0:016x}"
    is_bound = bounds == {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": nothing, "CapBnd": nothing}
    return is_bound and written == list(_ALLOWED), f"{bounds}, can write {', '.join(written)} of {len(_FORBIDDEN + _ALLOWED)} places"


def may_not_write_the_log(machine: Machine) -> tuple[bool, str]:
    """Even without the sandbox: the log's own permissions let the dashboard's user read and no more."""
    rights = {how: machine.run("runuser", "-u", _USER, "--", "test", f"-{how}", _LOG).returncode == 0 for how in "rw"}
    owner = machine.run("stat", "-c", "%U:%G %a", _LOG).stdout.strip()
    return rights == {"r": True, "w": False}, f"{owner}; reads {rights['r']}, writes {rights['w']}"


def exposure(machine: Machine) -> tuple[bool, str]:
    """As low as a daemon's."""
    done = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", UNIT)
    return done.returncode == 0, (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1].partition(": ")[2]


def reads_a_stopped_log(machine: Machine) -> tuple[bool, str]:
    """The daemon has stopped: its log has no WAL any more, and the dashboard may not make one."""
    found = _probe(machine)
    return found.get("health") == ["stopped"] and bool(found.get("judged")), f"health {found.get('health')}, judged {found.get('judged')}"


def stops(machine: Machine) -> tuple[bool, str]:
    """SIGTERM ends it in order."""
    began_s = time.monotonic()
    machine.run("systemctl", "stop", UNIT)
    took_s, result = time.monotonic() - began_s, machine.show(UNIT, "Result")
    is_over = machine.show(UNIT, "ActiveState") == "inactive"
    return result == "success" and is_over and took_s < _LONGEST_STOP_S, f"{result} after {took_s:.1f} s, {_LONGEST_STOP_S:.0f} s allowed"


def _probe(machine: Machine) -> dict[str, Any]:
    """Visit the dashboard from inside; return what was found, or the error."""
    sound = (QUESTION,) if machine.path(QUESTION).exists() else ()
    done = machine.run("env", *_PATHS, PYTHON, "-m", "tests.systemd.board_probe", str(BOARD_PORT), STATION, *sound)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return {"error": done.stderr[-600:]}


def _log_says(machine: Machine, query: str) -> str:
    program = f"import sqlite3; print(sqlite3.connect('file:{_LOG}?mode=ro', uri=True).execute({query!r}).fetchall())"
    return machine.run("runuser", "-u", "inspector", "--", "env", *_PATHS, PYTHON, "-c", program).stdout


def _may_write(machine: Machine, pid: str, path: str) -> bool:
    """Try, as the unit's user and where its process stands; what was made is removed."""
    script = f'if [ -e "{path}" ]; then : >> "{path}"; else : > "{path}" && rm "{path}"; fi'
    stands = ("nsenter", "--target", pid, "--mount", "runuser", "-u", _USER, "--", "sh", "-c", script)
    return machine.run(*stands).returncode == 0


PROOFS: dict[str, Callable[[Machine], tuple[bool, str]]] = {
    "the dashboard waits until it answers": starts,
    "it answers, signs, asks and hears": answers,
    "it is shut in": is_shut_in,
    "the log is not its own": may_not_write_the_log,
    "its security score": exposure,
}
"""While the daemon runs."""
AFTERWARDS: dict[str, Callable[[Machine], tuple[bool, str]]] = {
    "it reads the log of a stopped station": reads_a_stopped_log,
    "it stops in time": stops,
}
"""Once the daemon has stopped."""
