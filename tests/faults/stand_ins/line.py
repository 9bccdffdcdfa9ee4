"""The line as a stand-in sees it: verdicts come one by one, each is logged before it is handed on. Also how all three connect."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stand-in works."""

    name: str
    """Its name: user, client id and station level of its topic."""
    host: str
    """Broker's name or address."""
    port: int
    """Broker's port."""
    ca_file: str
    """Certificate authority."""
    password: str
    """Password."""
    topic: str
    """Topic of results."""
    feed: Path
    """File that grows by one line a verdict."""
    state: Path
    """Folder of its own, kept over restarts."""


def place() -> Place:
    """Read the place from the file named by the first argument; the second is the broker's host."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    told |= {"host": sys.argv[2], "feed": Path(told["feed"]), "state": Path(told["state"])}
    return Place(**told)


def new_client(here: Place, session_s: int | None = None) -> paho.Client:
    """Return a paho client with its network thread, which connects by itself; with ``session_s`` the broker remembers it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, here.name, protocol=paho.MQTTv5)
    client.username_pw_set(here.name, here.password)
    client.tls_set(here.ca_file)
    client.reconnect_delay_set(1, 5)
    session = None
    if session_s is not None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = session_s
    client.connect_async(here.host, here.port, keepalive=5, clean_start=session is None, properties=session)
    client.loop_start()
    return client


def verdicts(here: Place) -> Iterator[tuple[int, bytes]]:
    """Yield number and payload of each verdict that is not yet logged here, after it was logged, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log = here.state / "made.txt"
    log.touch()
    offset = _last_offset(log)
    with here.feed.open("rb") as feed, log.open("ab", buffering=0) as made:
        feed.seek(offset)
        while not stop.is_set():
            line = feed.readline()
            if not line.endswith(b"\n"):
                feed.seek(offset)
                stop.wait(0.02)
                continue
            offset += len(line)
            body = json.loads(line)
            made.write(f"{body['seq']} {body['inspection_id']} {offset}\n".encode())
            yield body["seq"], line.rstrip(b"\n")


def _last_offset(log: Path) -> int:
    """Return where in the feed to go on; a line that a full disk has cut is taken away."""
    text = log.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        os.truncate(log, len(whole))
    return int(whole.split()[-1]) if whole else 0
