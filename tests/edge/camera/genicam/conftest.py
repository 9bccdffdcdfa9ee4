"""The simulated GigE Vision camera that comes with the library: real protocol over the loopback interface, one at a time."""

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from viva_genicam.testing import FakeGigeCamera

from inspector.edge.camera import Camera
from inspector.edge.camera.genicam import finding
from tests.edge.camera.conftest import Opener

Simulated = Callable[..., FakeGigeCamera]
SERIAL = "VIVA-FAKE-001"


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulated]:
    """Return a function that starts the camera. Its port is fixed, so other test runs on this machine wait for this one."""
    monkeypatch.setattr(finding, "_ANSWERS_MS", 60)  # it answers at once
    with ExitStack() as parts:
        lock = parts.enter_context((Path(tempfile.gettempdir()) / "inspector-tests-gige-3956.lock").open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX)

        def start(**keys: Any) -> FakeGigeCamera:
            return parts.enter_context(FakeGigeCamera(**{"width": 64, "height": 48, "fps": 50, "bind_ip": "127.0.0.1", **keys}))

        yield start


@pytest.fixture
def gige(opened: Opener) -> Callable[..., Camera]:
    """Return a function that opens the simulated camera as a station does."""

    def _open(**keys: Any) -> Camera:
        return opened(**{"kind": "genicam", "device": "127.0.0.1", "frozen_after": 0, **keys})

    return _open
