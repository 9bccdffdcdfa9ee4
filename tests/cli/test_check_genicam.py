"""``inspector check`` on a GenICam camera, simulated by the library."""

from pathlib import Path

import pytest

from inspector.cli.findings import Subject
from inspector.cli.station_checks import check_cameras
from tests.edge.camera.genicam.conftest import Simulated, simulated
from tests.station_kit import write_station

__all__ = ["simulated"]


def found(root: Path, keys: str) -> list[tuple[str, str]]:
    settings = write_station(root, cameras_line=f'kind = "genicam"\ndevice = "127.0.0.1"\n{keys}')
    return [(line.state, line.text) for line in check_cameras(Subject(root, settings.folder, settings))]


@pytest.mark.parametrize("keys", ["", 'trigger_source = "software"'])
def test_a_camera_is_found_read_and_its_lost_packets_are_told(keys: str, simulated: Simulated, tmp_path: Path) -> None:
    simulated()
    (state, text), *_ = found(tmp_path, keys)
    assert state == "ok"
    assert text.startswith("line: 64x48 pixels after ")
    assert text.endswith(" ms, 0 packets lost")


def test_a_camera_that_waits_for_a_signal_is_noted(simulated: Simulated, tmp_path: Path) -> None:
    simulated()
    [(state, text)] = found(tmp_path, 'trigger_source = "hardware"\nopen_timeout_s = 0.2\nread_timeout_s = 0.2')
    assert state == "note"
    assert "or triggered?" in text


def test_a_camera_that_is_not_there_is_a_fault_with_what_to_do(tmp_path: Path, simulated: Simulated) -> None:
    [(state, text)] = found(tmp_path, "")
    assert state == "FAULT"
    assert "no such camera answers on every interface; check its power" in text
