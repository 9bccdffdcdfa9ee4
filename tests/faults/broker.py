"""The broker: the real mosquitto with TLS, a password and an access list for each user, and persistence on."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_START_TIMEOUT_S = 20.0
# mosquitto 2.0.11 takes max_queued_messages 0 for "no limit", but then breaks off each connection on which it has denied a message.
_CONFIGURATION = """\
user root
listener {port} 127.0.0.1
certfile {tls}/{certificate}.pem
keyfile {tls}/{certificate}.key
allow_anonymous false
password_file {folder}/users
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
max_queued_messages 1000000
log_dest file {folder}/mosquitto.log
"""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificates(folder: Path) -> None:
    """Write the broker's certificate, which is its own authority, and a stranger's."""
    folder.mkdir(parents=True)
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    request += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    request += ["-addext", "basicConstraints=critical,CA:TRUE"]
    for name in ("broker", "stranger"):
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run([*request, *files], check=True, capture_output=True)


class Mosquitto:
    """A broker that can be stopped, killed, restarted with a stranger's certificate, and that can deny results."""

    def __init__(self, folder: Path, tls: Path, stations: Sequence[str], password: str) -> None:
        """Write its users and access list; ``stations`` may write below their own topic, ``recorder`` may read everything."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None or shutil.which("openssl") is None:
            raise SystemExit("make faults needs mosquitto and openssl: apt-get install mosquitto openssl")
        self.port = free_port()
        self._program, self._folder, self._tls, self._stations = program, folder, tls, stations
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        for index, user in enumerate(("recorder", *stations)):
            create = ["-c"] if index == 0 else []
            subprocess.run(["mosquitto_passwd", "-b", *create, str(folder / "users"), user, password], check=True, capture_output=True)
        self._write_access(may_publish=True)

    def start(self, certificate: str = "broker") -> None:
        """Start it and wait until its port answers."""
        text = _CONFIGURATION.format(port=self.port, tls=self._tls, folder=self._folder, certificate=certificate)
        (self._folder / "mosquitto.conf").write_text(text, encoding="utf-8")
        with (self._folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen([self._program, "-c", str(self._folder / "mosquitto.conf")], stdout=output, stderr=output)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"mosquitto did not start; see {self._folder}/mosquitto.log")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGTERM lets it save, SIGKILL does not."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def allow_results(self, *, allowed: bool) -> None:
        """Let the stations publish results, or deny it, while it runs."""
        self._write_access(may_publish=allowed)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def _write_access(self, *, may_publish: bool) -> None:
        """Each station writes below its own topic alone and reads its own commands."""
        rules = ["user recorder", "topic read #"]
        for name in self._stations:
            base = f"inspector/v1/plant/press/line1/{name}"
            rules += [f"user {name}", f"topic read {base}/cmd/#", *(f"topic write {base}/{end}" for end in ("status", "info", "event"))]
            rules += [f"topic write {base}/reply/#", *([f"topic write {base}/result"] if may_publish else [])]
        (self._folder / "acl").write_text("\n".join(rules) + "\n", encoding="utf-8")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
