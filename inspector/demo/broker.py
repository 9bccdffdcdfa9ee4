"""A broker for the demo: mosquitto where it is installed, else amqtt, each in its own process on a free loopback port."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import PublishError

_START_TIMEOUT_S = 20.0
_AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
async def serve():
    broker = Broker({{"listeners": {{"default": {{"type": "tcp", "bind": "127.0.0.1:{port}"}}}},
                     "plugins": {{"amqtt.plugins.authentication.AnonymousAuthPlugin": {{"allow_anonymous": True}}}}}})
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(serve())
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker."""

    name: str
    """mosquitto or amqtt."""
    port: int
    """Its port on 127.0.0.1."""


@contextmanager
def running_broker(folder: Path, *, embedded: bool = False) -> Iterator[Broker]:
    """Start a broker whose files lie in ``folder`` and stop it at the end. Raises ``PublishError`` if none can be started.

    ``embedded`` asks for amqtt even where mosquitto is installed.
    """
    port, folder = free_port(), folder.resolve()
    name, command = _command(folder, port, None if embedded else _mosquitto())
    with (folder / "broker.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        _wait_for(port, process, folder / "broker.log")
        yield Broker(name, port)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mosquitto() -> str | None:
    """Return where mosquitto is installed; Debian puts it where a user's PATH does not look."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:" + os.environ.get("PATH", ""))


def _command(folder: Path, port: int, found: str | None) -> tuple[str, list[str]]:
    if found:
        # "user root" keeps mosquitto from giving up its rights where it is started by root: it must write into a folder of root's.
        (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n")
        return "mosquitto", [found, "-c", str(folder / "mosquitto.conf")]
    return "amqtt", [sys.executable, "-c", _AMQTT.format(port=port)]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the port answers."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise PublishError(f"the demo's MQTT broker did not start on port {port}: {log.read_text(errors='replace')[-500:].strip()}")
