"""GenicamSource: an opened GigE Vision camera as a source of shots. A frame that lost packets is a fault, never a picture.

The library's own word that the camera is well is not enough: it goes on saying so for long after a camera has died. So each silence is
broken by a question to the camera.
"""

import functools
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from inspector.edge.camera.camera import Moment
from inspector.edge.camera.genicam.configuring import Configured
from inspector.edge.camera.genicam.device_clock import DeviceClock
from inspector.edge.camera.genicam.driver import load, told_as
from inspector.edge.camera.genicam.pixels import to_rgb
from inspector.edge.camera.shot import Shot
from inspector.errors import CameraLost

_POLL_MS = 250
"""How long one call waits for a frame: a stop is noticed within this."""
_LOOK_EVERY_S = 0.5
"""How often control is looked at while frames come."""
_CONTROL_REGISTER = 0x0A00
"""Control channel privilege, a bootstrap register that every GigE Vision camera has."""
_WRAPS = (1 << 16) - 1
"""Block ids of GigE Vision 1 go from 1 to this and begin again."""


@dataclass(slots=True)
class Opened:
    """What the library gave for one camera."""

    camera: Any
    """Its handle."""
    stream: Any
    """Its stream of frames."""


class GenicamSource:
    """Reads one camera that has been set and started. Closes it when released."""

    def __init__(self, opened: Opened, configured: Configured, name: str) -> None:
        """Take it over; ``name`` is what faults begin with."""
        self._opened, self._configured, self._name = opened, configured, name
        self._library = load()
        self._clock = DeviceClock(configured.tick_hz)
        self._number: int | None = None
        self._looked_s = time.monotonic()

    def shoot(self) -> Shot | None:
        """Return the next frame, complete or not; None if none came for a while and the camera answers. Raises ``CameraLost``."""
        began_s = time.monotonic()
        try:
            frame = self._opened.stream.next_frame(_POLL_MS)
        except self._library.TransportError as error:  # so the library tells, among other things, that no frame came within the time
            self._ask()
            if time.monotonic() - began_s < _POLL_MS / 2000:
                raise CameraLost(f"{self._name}: its stream broke: {error}") from error
            return None
        except self._library.GenicamError as error:
            raise CameraLost(f"{self._name}: its stream broke: {error}") from error
        arrived_s = time.monotonic()
        if arrived_s - self._looked_s > _LOOK_EVERY_S:
            self._look_at_control()
        if frame is None:
            raise CameraLost(f"{self._name}: its stream ended; check its power and its cable")
        return self._shot(frame, arrived_s)

    def trigger(self) -> None:
        """Ask for one frame, from any thread. Raises ``CameraLost``."""
        with told_as(f"{self._name}: cannot be triggered; check its power and its cable"):
            self._opened.camera.trigger_software()

    def release(self) -> None:
        """Stop and close the camera, so that it can be opened again at once."""
        error = self._library.GenicamError  # a dead camera can neither stop nor give back control, and need not
        with suppress(error):
            self._opened.camera.acquisition_stop()
        with suppress(error):
            self._opened.stream.close()
        with suppress(error):
            self._opened.camera.close()

    def _ask(self) -> None:
        """Ask the camera for a sign of life. Raises ``CameraLost`` if there is none."""
        self._look_at_control()
        with told_as(f"{self._name}: does not answer; check its power and its cable"):
            self._opened.camera.read_register(_CONTROL_REGISTER)

    def _look_at_control(self) -> None:
        """Raise ``CameraLost`` if another program controls the camera: whatever it sends then is not set as we set it."""
        self._looked_s = time.monotonic()
        if self._opened.camera.control_state != self._library.camera.ControlState.HELD:
            raise CameraLost(
                f"{self._name}: control was lost, another program has taken the camera or its heartbeat failed; close that program"
            )

    def _shot(self, frame: Any, arrived_s: float) -> Shot:  # noqa: ANN401 - the library's own value
        number = int(frame.block_id)
        age_s = self._clock.age_s(frame.ts_dev, arrived_s)
        moment = Moment(datetime.now(UTC) - timedelta(seconds=age_s), round(1e9 * (arrived_s - age_s)))
        skipped, self._number = _between(self._number, number), number
        fault, lost_packets = self._damage(frame)
        return Shot(
            functools.partial(to_rgb, frame),
            moment,
            number=number,
            exposure_us=self._configured.exposure_us,
            skipped=skipped,
            lost_packets=lost_packets,
            fault=fault,
        )

    def _damage(self, frame: Any) -> tuple[str | None, int]:  # noqa: ANN401 - as above
        """Return why a frame may not be judged, and the packets that it lost."""
        if frame.is_complete:
            return None, 0
        cure = "check cable and switch, set packet_bytes to the network's MTU, raise packet_delay_us"
        if frame.device_status is not None:
            return f"frame {frame.block_id}: the camera itself reports an error, status {frame.device_status:#06x}; restart it", 0
        if frame.missing_packets is None:
            return f"frame {frame.block_id} has no end, its last packets were lost on the way; {cure}", 1
        return f"frame {frame.block_id}: {frame.missing_packets} of its network packets were lost on the way; {cure}", frame.missing_packets


def _between(last: int | None, number: int) -> int:
    """Return how many block ids lie between two; 0 if the count stood still, began anew or cannot be told."""
    if last is None or number == last:
        return 0
    if number < last:
        number += _WRAPS if last <= _WRAPS else 0
    gap = number - last - 1
    return gap if 0 < gap < _WRAPS // 2 else 0
