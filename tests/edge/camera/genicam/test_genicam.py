"""GenICam cameras, against the library's own simulated GigE Vision camera."""

import sys
import time
from collections.abc import Callable

import pytest
import viva_genicam

from inspector.core.frame import Frame
from inspector.edge.camera import Camera, CountsPackets, SoftwareTriggered
from inspector.edge.camera.genicam.source import _between
from inspector.errors import CameraError, CameraLost
from tests.edge.camera.genicam.conftest import SERIAL, Simulated

Gige = Callable[..., Camera]


def read_frame(camera: Camera) -> Frame:
    """Return the next frame, within 10 s."""
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        if (frame := camera.read(1.0)) is not None:
            return frame
    raise AssertionError("no frame came")


def read_until_lost(camera: Camera) -> None:
    """Read until the camera is lost, 20 s at most."""
    until = time.monotonic() + 20.0
    while time.monotonic() < until:
        camera.read(0.2)


@pytest.mark.parametrize("device", ["127.0.0.1", SERIAL, "de:ad:be:ef:ca:fe"])
def test_a_camera_is_found_by_address_or_serial_number_and_its_frames_are_numbered_and_dated(
    device: str, simulated: Simulated, gige: Gige
) -> None:
    simulated()
    camera = gige(device=device, exposure_us=4000.0, gain_db=3.0, rate_hz=40.0)
    one, other = read_frame(camera), read_frame(camera)
    assert one.image.shape == (48, 64, 3)
    assert one.number is not None
    assert other.number is not None
    assert other.number > one.number
    assert one.exposure_us == 4000.0
    assert one.source == f"genicam {device}"
    assert one.grabbed_ns < other.grabbed_ns <= time.monotonic_ns()


def test_what_the_settings_ask_for_reaches_the_camera(simulated: Simulated, gige: Gige) -> None:
    fake = simulated(pixel_format="Mono16")
    frame = read_frame(gige(pixel_format="Mono8", roi_px=[8, 4, 32, 16], exposure_us=1234.0))
    assert frame.image.shape == (16, 32, 3)
    address = fake.REGISTERS["ExposureTime"]
    assert frame.exposure_us == 1234.0
    assert any(fake.peek(address, 4))


def test_a_frame_that_lost_packets_is_a_fault_and_its_packets_are_counted(simulated: Simulated, gige: Gige) -> None:
    simulated(width=320, height=240, drop_packets=[(3, 5), (4, 2), (4, 3)], packet_resend=False)
    camera = gige(trigger="every", queue_frames=64)
    frames = [read_frame(camera) for _ in range(6)]
    faults = {frame.fault for frame in frames if frame.fault}
    assert [frame.number for frame in frames if not frame.fault] == [1, 2, 5, 6]
    assert any("frame 4: 2 of its network packets were lost" in fault for fault in faults)
    assert isinstance(camera, CountsPackets)
    assert camera.lost_packets == 3


def test_packets_that_are_sent_again_cost_nothing(simulated: Simulated, gige: Gige) -> None:
    simulated(width=320, height=240, drop_packets=[(3, 5), (4, 2)])
    camera = gige(trigger="every", queue_frames=64)
    assert [read_frame(camera).fault for _ in range(6)] == [None] * 6


def test_lost_control_is_a_loss_and_the_camera_comes_back(simulated: Simulated, gige: Gige) -> None:
    fake = simulated()
    camera = gige()
    read_frame(camera)
    fake.revoke_control()
    with pytest.raises(CameraLost, match="control was lost, another program has taken the camera"):
        read_until_lost(camera)
    assert read_frame(camera).fault is None


def test_a_camera_that_another_program_controls_is_lost_and_says_so(simulated: Simulated, gige: Gige) -> None:
    info = simulated().device_info()
    with viva_genicam.connect_gige(info):
        camera = gige()
        with pytest.raises(CameraLost, match=r"cannot be opened: .*ACCESS_DENIED.*; close the program that controls it"):
            camera.read(0.1)
    assert read_frame(camera).fault is None


def test_a_camera_that_dies_is_lost_and_found_again(simulated: Simulated, gige: Gige) -> None:
    fake = simulated()
    camera = gige(read_timeout_s=1.0)
    read_frame(camera)
    fake.stop()
    with pytest.raises(CameraLost):
        read_until_lost(camera)
    with pytest.raises(CameraLost, match="no such camera answers"):
        camera.read(0.1)
    fake.start()
    assert read_frame(camera).fault is None


def test_a_software_triggered_camera_gives_one_frame_a_trigger_and_its_silence_is_no_loss(simulated: Simulated, gige: Gige) -> None:
    fake = simulated()
    camera = gige(trigger_source="software", read_timeout_s=0.3)
    assert isinstance(camera, SoftwareTriggered)
    assert camera.every_frame_counts
    with pytest.raises(CameraLost, match="it is not open"):
        camera.trigger()
    assert [camera.read(0.3) for _ in range(3)] == [None] * 3
    camera.trigger()
    frame = read_frame(camera)
    assert frame.fault is None
    assert camera.read(0.1) is None
    assert fake.software_triggers() == 1


def test_a_dead_triggered_camera_is_lost_though_nothing_was_expected_of_it(simulated: Simulated, gige: Gige) -> None:
    fake = simulated()
    camera = gige(trigger_source="hardware", read_timeout_s=0.5)
    assert not isinstance(camera, SoftwareTriggered)
    assert camera.read(0.1) is None
    fake.stop()
    with pytest.raises(CameraLost, match=r"does not answer|control was lost"):
        read_until_lost(camera)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"pixel_format": "Mono14"}, r'pixel_format = "Mono14" is not one .* set it to Mono8, Mono16'),
        ({"trigger_source": "hardware", "trigger_line": "Line9"}, "trigger_line: the camera has no trigger source Line9; it offers Line1"),
        ({"exposure_us": 1e12}, r"exposure_us = 1000000000000\.0 is refused by the camera"),
        ({"roi_px": [0, 0, 90_000, 64]}, r"roi_px = \(0, 0, 90000, 64\) is refused by the camera"),
    ],
)
def test_what_a_camera_does_not_take_is_an_error_that_names_the_key(
    keys: dict[str, object], told: str, simulated: Simulated, gige: Gige
) -> None:
    simulated()
    camera = gige(**keys)
    with pytest.raises(CameraError, match=told):
        camera.read(0.1)


def test_a_camera_that_gives_what_cannot_be_judged_is_an_error_that_names_what_can(simulated: Simulated, gige: Gige) -> None:
    simulated(pixel_format="YUV411_8_UYYVYY")
    with pytest.raises(CameraError, match="cannot be judged; set pixel_format to"):
        read_frame(gige())


def test_a_camera_with_another_serial_number_is_named(simulated: Simulated, gige: Gige) -> None:
    simulated()
    with pytest.raises(CameraLost, match=rf"genicam 40001: no such camera answers .*those that do: FakeGigE {SERIAL} at 127\.0\.0\.1"):
        gige(device="40001").read(0.1)


def test_without_the_library_the_error_says_how_to_install_it(gige: Gige, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viva_genicam", None)
    with pytest.raises(CameraError, match=r'install it: pip install "qc-inspector\[genicam\]"'):
        gige()


@pytest.mark.parametrize(
    ("last", "number", "lost"),
    [(None, 7, 0), (7, 8, 0), (7, 10, 2), (65_535, 1, 0), (65_534, 2, 2), (9, 9, 0), (70_000, 70_003, 2), (70_000, 1, 0)],
)
def test_gaps_between_frame_numbers_are_counted_over_their_wrap(last: int | None, number: int, lost: int) -> None:
    assert _between(last, number) == lost
