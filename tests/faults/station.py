"""The station under test: the real daemon with a tiny true checkpoint and a few small pictures, and the three stand-ins beside it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inspector.edge.topics import Topics
from inspector.training.export import export_checkpoint
from tests.conftest import tiny_model, tiny_tokenizer
from tests.faults.account import Verdicts
from tests.faults.feed import Feed
from tests.faults.programs import Program
from tests.station_kit import write_pictures, write_station

STAND_INS = {
    "publish-if-connected": "publish_if_connected",
    "paho-memory-queue": "memory_queue",
    "spool-until-publish": "file_spool",
}
"""Name and module of each."""
_RATE_HZ = 40.0
"""Frames a second: two cores judge and deliver them with room to spare, so that no publisher suffers from want of time."""
PASSWORD = "faults"


@dataclass(frozen=True, slots=True)
class Roads:
    """How publishers reach the broker."""

    port: int
    """The proxy's port."""
    ca_file: Path
    """Certificate authority of the broker."""


def build_checkpoint(root: Path) -> None:
    """Export the tiny checkpoint: true tower, true decoder, random weights."""
    tokenizer = tiny_tokenizer()
    trunk, model = tiny_model(tokenizer.get_vocab_size())
    export_checkpoint(root / "models" / "tiny", "tiny", trunk, model, tokenizer, side=64, encoder="test@0", precision="float32")


def station_names(act: int) -> list[str]:
    """Return the stations of one act, the daemon's first."""
    return [f"daemon-{act}", *(f"{name}-{act}" for name in STAND_INS)]


def topics_of(name: str) -> Topics:
    """Return a station's topics."""
    return Topics("inspector/v1", "plant", "press", "line1", name)


def open_daemon(root: Path, act: int, state: Path, roads: Roads) -> tuple[Program, Feed]:
    """Write the daemon's station and return it with the feed of its verdicts."""
    name, database = station_names(act)[0], state / "inspector.db"
    mqtt = f'port = {roads.port}\nusername = "{name}"\npassword_file = "password"\nca_file = "{roads.ca_file}"'
    mqtt += "\nack_timeout_s = 2.0\nkeepalive_s = 5"
    settings = write_station(
        root,
        name,
        station='product = "screw"\nis_simulated = true\nsite = "plant"\narea = "press"\nline = "line1"',
        cameras_line=f'kind = "folder"\npath = "frames"\nloop = true\nrate_hz = {_RATE_HZ}',
        mqtt=mqtt,
        log=f'keep_images = "none"\npath = "{database}"\nmin_free_bytes = 0',
    )
    write_pictures(settings.folder / "frames", 8)
    (settings.folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (settings.folder / "password").chmod(0o600)
    feed = Feed(database, topics_of(name), root / f"feed-{act}.jsonl")

    def command(host: str) -> Sequence[str]:
        return [sys.executable, "-m", "inspector", "--root", str(root), "run", name, "--set", f'mqtt.host="{host}"']

    return Program(name, command, root / f"{name}.log", feed.made), feed


def open_stand_ins(root: Path, act: int, state: Path, roads: Roads) -> list[Program]:
    """Return the three stand-ins, which follow the daemon's feed."""
    return [_stand_in(root, act, f"{name}-{act}", module, state, roads) for name, module in STAND_INS.items()]


def _stand_in(root: Path, act: int, name: str, module: str, state: Path, roads: Roads) -> Program:
    folder = state / name
    folder.mkdir(parents=True)
    told = {"name": name, "port": roads.port, "ca_file": str(roads.ca_file), "password": PASSWORD, "topic": topics_of(name).result}
    told |= {"feed": str(root / f"feed-{act}.jsonl"), "state": str(folder)}
    place = root / f"{name}.json"
    place.write_text(json.dumps(told), encoding="utf-8")

    def command(host: str) -> Sequence[str]:
        return [sys.executable, "-m", f"tests.faults.stand_ins.{module}", str(place), host]

    def made() -> Verdicts:
        lines = (folder / "made.txt").read_text(encoding="utf-8").splitlines()
        return [(int(line.split()[0]), line.split()[1]) for line in lines]

    return Program(name, command, root / f"{name}.log", made)
