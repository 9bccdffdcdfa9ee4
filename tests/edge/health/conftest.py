"""A station in numbers, and a free port."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.edge.camera import CameraCounters
from inspector.edge.health.figures import Sources
from inspector.edge.health.tally import Tally
from inspector.edge.log import Log
from inspector.edge.outbox import Message
from tests.edge.conftest import MakeInspection


class Camera:
    """A camera whose counters are set by hand."""

    def __init__(self, counters: CameraCounters) -> None:
        self.counters = counters


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def tally(make_inspection: MakeInspection) -> Tally:
    """Three verdicts; a running station."""
    tally = Tally()
    for number, disposition in enumerate(("pass", "pass", "fail")):
        tally.add(make_inspection(number, disposition=disposition, timings_ms={"vision": 30.0, "total": 79.5}), 90.0)
    tally.told = ("running", "")
    return tally


@pytest.fixture
def sources(tmp_path: Path, tally: Tally, make_inspection: MakeInspection) -> Callable[..., Sources]:
    def make(*cameras: CameraCounters) -> Sources:
        with Log(tmp_path / "log.db", "cell-3") as log:
            log.append(make_inspection(), lambda _: Message("t", b"{}"))
        known = cameras or (
            CameraCounters("top", 40, 2, 3, 1, 1, 7, is_lost=False, last_frame_age_ms=250.0),
            CameraCounters("side", is_lost=True),
        )
        return Sources("cell-3", "inspector-edge@abc", tmp_path / "log.db", tally, [Camera(counters) for counters in known])

    return make
