"""From looks to warnings: a moved camera and a drifting exposure, each told once when it begins and once when it ends. No clock, no file.

A warning begins when the median of the last looks passes the limit and ends below 0.7 of it, so that a hand, a flash or a knock against the
frame is not told. A scene that is not recognised for 60 looks in a row counts as moved out of reach, or covered.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

from inspector.core.calibration import CameraCalibration
from inspector.core.frame import Frame
from inspector.core.scene import Look, SceneReference
from inspector.scene.look import look

Event: TypeAlias = tuple[str, str]
"""Kind and detail; the detail begins with the camera's name and a colon."""
MOVED, DRIFTED = "camera-moved", "exposure-drift"
LOOKS = 7
"""Looks whose median counts."""
LOST_LOOKS = 60
"""Looks in a row without a recognised scene."""
_CALM = 0.7
"""Share of a limit below which a warning ends."""
_CURE_MOVED = "mount it as it was; if it is meant to be so, look at the regions and take a new one: inspector calibrate reference"
_CURE_LOST = "see whether the camera has moved, or something covers what it sees"
_CURE_DRIFTED = "see to lamp, lens and exposure; if it is meant to be so, take a new reference: inspector calibrate reference"
_PERIOD_NS = 1_000_000_000
"""At most one look at a camera's scene in this time."""


@dataclass(slots=True)
class Watch:
    """Hears the looks of one camera, in order, against one reference."""

    camera: str
    """Name of the camera."""
    reference: SceneReference
    """What the looks were compared with."""
    looked_ns: int | None = None
    """Instant of the last look, as ``Frame.grabbed_ns``."""
    _seen: deque[Look] = field(default_factory=lambda: deque(maxlen=LOOKS))
    _lights: deque[float] = field(default_factory=lambda: deque(maxlen=LOOKS))
    _lost: int = 0
    _present: set[str] = field(default_factory=set)

    def hear(self, seen: Look) -> Iterator[Event]:
        """Take note of a look; yield the warnings that begin or end with it."""
        if seen.shift_px is not None:
            self._lost = 0
            self._seen.append(seen)
            yield from self._turned(MOVED, self._shift_px, self.reference.moved_px, len(self._seen))
        elif seen.trouble:
            yield from self._missed(seen.trouble)
        if seen.light is not None:
            self._lights.append(seen.light)
            yield from self._turned(DRIFTED, abs(median(self._lights) - 1.0), self.reference.light_limit, len(self._lights))

    def give_up(self, why: str) -> Iterator[Event]:
        """Yield the end of every warning that lasts."""
        for kind in sorted(self._present):
            yield f"{kind}-ended", f"{self.camera}: {why}"
        self._present.clear()

    @property
    def _shift_px(self) -> float:
        return median(item.shift_px or 0.0 for item in self._seen)

    def _missed(self, trouble: str) -> Iterator[Event]:
        """Count a look that did not recognise the scene."""
        self._lost += 1
        if self._lost < LOST_LOOKS:
            return
        self._seen.clear()  # what was seen before says nothing about where the camera looks when it sees again
        if MOVED not in self._present:
            self._present.add(MOVED)
            yield MOVED, f"{self.camera}: the scene has not been recognised for {self._lost} looks ({trouble}); {_CURE_LOST}"

    def _turned(self, kind: str, value: float, limit: float, count: int) -> Iterator[Event]:
        """Yield the warning if it begins or ends with this value, the median of ``count`` looks."""
        if count < LOOKS:
            return
        if kind not in self._present and value > limit:
            self._present.add(kind)
            yield kind, f"{self.camera}: {self._moved() if kind == MOVED else self._drifted()}"
        elif kind in self._present and value < _CALM * limit:
            self._present.discard(kind)
            yield f"{kind}-ended", f"{self.camera}: as in the reference again"

    def _moved(self) -> str:
        turn_deg = median(item.turn_deg for item in self._seen)
        return (
            f"the camera has moved: the scene lies {self._shift_px:.1f} px from its reference, turned by {turn_deg:.1f} degrees "
            f"(limit {self.reference.moved_px:g} px); {_CURE_MOVED}"
        )

    def _drifted(self) -> str:
        change = median(self._lights) - 1.0
        return (
            f"the scene is {100 * abs(change):.0f} % {'darker' if change < 0 else 'brighter'} than its reference "
            f"(limit {100 * self.reference.light_limit:.0f} %); {_CURE_DRIFTED}"
        )


class Scenes:
    """The watches of a station's cameras. Cameras without a reference cost nothing."""

    def __init__(self) -> None:
        """Begin with no watch."""
        self._watches: dict[str, Watch] = {}

    def look(self, frames: Sequence[Frame], calibrations: Mapping[str, CameraCalibration]) -> Iterator[Event]:
        """Look at frames, in order, at most one a second of each camera; yield the warnings that begin or end."""
        for frame in frames:
            calibration = calibrations.get(frame.camera)
            reference = None if calibration is None else calibration.reference
            watch = self._watches.get(frame.camera)
            if watch is not None and watch.reference != reference:
                yield from watch.give_up("the reference was changed")
                del self._watches[frame.camera]
                watch = None
            if reference is None or frame.fault is not None or not frame.image.size:
                continue
            watch = watch or self._watches.setdefault(frame.camera, Watch(frame.camera, reference))
            if watch.looked_ns is None or frame.grabbed_ns - watch.looked_ns >= _PERIOD_NS:
                watch.looked_ns = frame.grabbed_ns
                yield from watch.hear(look(frame.image, reference))
