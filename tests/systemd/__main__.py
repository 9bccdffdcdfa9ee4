"""``make systemd``: the shipped units under the real systemd. One line a proof; exit code 1 if one fails."""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.systemd import board
from tests.systemd.machine import Machine, booted, missing, wait_for
from tests.systemd.stage import PASSWORD, PYTHON, STATION, STATUS_TOPIC, write_stage

_UNIT = f"inspector@{STATION}.service"
_LONGEST_STOP_S = 30.0
"""TimeoutStopSec of the unit."""
_QUERY = """
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT detail FROM events WHERE kind = ?", sys.argv[2:])
print(json.dumps([row[0] for row in rows]))
"""


@click.command
def main() -> None:
    """Boot, prove, print."""
    if lacks := missing():
        raise SystemExit(f"make systemd needs {lacks}: root, systemd, util-linux, iproute2, mosquitto and mosquitto-clients")
    with tempfile.TemporaryDirectory(prefix="inspector-systemd-") as name:
        folder = Path(name)
        write_stage(folder / "stage")
        with booted(folder, folder / "stage") as machine:
            # Each proof needs what those before it have shown: the first that fails is the last.
            passed = all(_show(title, *proof(machine)) for title, proof in PROOFS.items())
            if not passed:
                click.echo(machine.run("journalctl", "--no-pager", "-u", _UNIT, "-u", board.UNIT, "-n", "60").stdout)
    sys.exit(0 if passed else 1)


def _show(title: str, passed: bool, detail: str) -> bool:
    click.echo(f"{'ok    ' if passed else 'FAILED'}  {title}: {detail}")
    return passed


def _start(machine: Machine) -> tuple[bool, str]:
    """With Type=simple the unit would be active at once, long before the model is loaded."""
    machine.run("systemctl", "start", "--no-block", _UNIT)
    seen: list[str] = []

    def is_over() -> bool:
        state = machine.show(_UNIT, "ActiveState")
        if state not in seen[-1:]:
            seen.append(state)
        return state in {"active", "failed"}

    wait_for(is_over)
    status = machine.show(_UNIT, "StatusText")
    return seen[-2:] == ["activating", "active"] and "running" in status, f"{' -> '.join(seen)}, {status}"


def _credential(machine: Machine) -> tuple[bool, str]:
    """The broker asks for the password: what it knows of the station came in with it."""
    ask = ("mosquitto_sub", "-u", "reader", "-P", PASSWORD, "-t", STATUS_TOPIC, "-C", "1", "-W", "20")
    heard: list[str] = []

    def is_running() -> bool:
        heard.append(machine.run(*ask).stdout.strip())
        return bool(heard[-1]) and json.loads(heard[-1])["state"] == "running"

    return wait_for(is_running, 30.0), f"the broker holds the status {json.loads(heard[-1] or '{}').get('state', 'nothing')!r}"


def _secret(machine: Machine) -> tuple[bool, str]:
    """Everybody may read a command line, many the journal and the log; root alone the environment."""
    process = machine.path(f"/proc/{machine.show(_UNIT, 'MainPID')}")
    places = {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
    places["journal"] = machine.run("journalctl", "--no-pager").stdout.encode()
    places |= {path.name: path.read_bytes() for path in machine.path("/var/lib/inspector").glob(f"{STATION}.db*") if path.is_file()}
    found = [name for name, content in places.items() if PASSWORD.encode() in content]
    return not found and len(places) > 3, f"found in {', '.join(found) or 'none'} of {', '.join(places)}"


def _reload(machine: Machine) -> tuple[bool, str]:
    settings = machine.path(f"/etc/inspector/calibration/{STATION}/station.toml")
    settings.write_text(settings.read_text(encoding="utf-8") + "[decision]\npass_above = 0.9\nfail_above = 0.9\n", encoding="utf-8")
    done = machine.run("systemctl", "reload", _UNIT)
    told = wait_for(lambda: bool(_events(machine, "reloaded")), 30.0)
    return done.returncode == 0 and told and machine.show(_UNIT, "ActiveState") == "active", "; ".join(_events(machine, "reloaded"))


def _watchdog(machine: Machine) -> tuple[bool, str]:
    before = machine.show(_UNIT, "MainPID")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", _UNIT)
    came_back = wait_for(lambda: machine.show(_UNIT, "NRestarts") == "1" and machine.show(_UNIT, "ActiveState") == "active")
    told = "Watchdog timeout" in machine.run("journalctl", "--no-pager", "-u", _UNIT).stdout
    return came_back and told and machine.show(_UNIT, "MainPID") not in {before, "0"}, f"{machine.show(_UNIT, 'NRestarts')} restart(s)"


def _stop(machine: Machine) -> tuple[bool, str]:
    """Were it killed for taking too long, the result would be ``timeout``."""
    began_s = time.monotonic()
    machine.run("systemctl", "stop", _UNIT)
    took_s, result = time.monotonic() - began_s, machine.show(_UNIT, "Result")
    passed = result == "success" and took_s < _LONGEST_STOP_S and machine.show(_UNIT, "ActiveState") == "inactive"
    return passed and bool(_events(machine, "stopped")), f"{result} after {took_s:.1f} s, {_LONGEST_STOP_S:.0f} s allowed"


def _exposure(machine: Machine) -> tuple[bool, str]:
    done = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", _UNIT)
    return done.returncode == 0, (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1].partition(": ")[2]


def _events(machine: Machine, kind: str) -> list[str]:
    """Return what the log tells of a kind of event, read by the user of the daemon."""
    program = ("env", "LD_LIBRARY_PATH=/opt/inspector/python/lib", PYTHON, "-c", _QUERY)
    done = machine.run("runuser", "-u", "inspector", "--", *program, f"/var/lib/inspector/{STATION}.db", kind)
    return [str(detail) for detail in json.loads(done.stdout or "[]")]


PROOFS: dict[str, Callable[[Machine], tuple[bool, str]]] = {
    "start waits until the daemon is ready": _start,
    "the credential reaches the daemon": _credential,
    "nobody can read the password": _secret,
    "reload is heard": _reload,
    "a daemon that stands still is started anew": _watchdog,
    "security score": _exposure,
    **board.PROOFS,
    "stop ends in time": _stop,
    **board.AFTERWARDS,
}


if __name__ == "__main__":
    main()
