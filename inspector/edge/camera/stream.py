"""StreamCamera: a live camera, be it a network stream, a V4L2 device or a GenICam camera. A loss shows in its frames, or in their absence.

The source is opened by the first read and again after each loss, in a thread of its own: a driver that hangs is told of and waited for,
and no second call is made into it meanwhile. Where every frame counts and some were missed (the station is too slow, the stream stalled,
or the network lost them), a frame with a fault stands for them. A frozen picture is a fault: the camera is opened anew once, and as long
as the picture stays the same every frame holds the fault instead of the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from inspector.core.frame import Frame, Image
from inspector.edge.camera.camera import Moment, Origin
from inspector.edge.camera.drain import Drain, Grab
from inspector.edge.camera.shot import Source
from inspector.edge.camera.stillness import Stillness
from inspector.errors import CameraError, CameraLost

_MARGIN_S = 0.5
"""How much longer than the read timeout the drivers may take to notice it themselves."""
_OPEN_MARGIN_S = 2.0
"""As above, for opening."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When a live camera is given up."""

    read_timeout_s: float
    """Silence, seconds."""
    open_timeout_s: float = 5.0
    """How long opening may take, seconds."""
    awaits_trigger: bool = False
    """True if only the driver's silence is one, because pictures come when they are asked for."""


class StreamCamera:
    """Delivers the frames of a live camera."""

    def __init__(
        self,
        origin: Origin,
        source: str,
        connect: Callable[[], Source],
        patience: Patience,
        *,
        size_px: tuple[int | None, int | None] = (None, None),
        frozen_limit: int = 0,
    ) -> None:
        """Take how to connect, which raises ``CameraError`` if it fails, and the (width, height) that frames must have if it is given."""
        self.name, self.origin, self.every_frame_counts = origin.camera, origin, origin.every_frame_counts
        self.finished, self.dropped, self.lost_packets = False, 0, 0
        self._source, self._connect, self._patience, self._size_px = source, connect, patience, size_px
        self._stillness = Stillness(frozen_limit)
        self._frozen: str | None = None
        self._opened_anew = False
        self._drain: Drain | None = None
        self._left: Drain | None = None
        self._pending: Grab | None = None
        self._count, self._closed = 0, False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None if none came within the time. Just after opening it waits for the first one. See ``Camera.read``."""
        if self._closed:
            return None
        if self._frozen is not None and not self._opened_anew:
            self._opened_anew = True
            self._let_go()
            raise CameraLost(f"{self._source}: {self._frozen}")
        if self._pending is not None:
            pending, self._pending = self._pending, None
            return self._frame(pending)
        opening = self._drain is None
        drain = self._drain = self._drain or self._opened()
        grab = drain.take(self._limit_s if opening and not self._patience.awaits_trigger else timeout_s)
        if grab is None:
            self._check(drain)
            return None
        self.lost_packets += grab.lost_packets
        if grab.missed and self.every_frame_counts:
            self._pending = replace(grab, lost_packets=0)
            return self._missed(grab.missed)
        self.dropped += grab.missed
        return self._frame(grab)

    def close(self) -> None:
        """Stop reading and let the camera go."""
        self._closed = True
        drain = self._drain
        if drain is not None:
            drain.stop(self._limit_s)

    @property
    def opened(self) -> Source | None:
        """The opened source, for what may be called from any thread; None while there is none."""
        drain = self._drain
        return None if drain is None else drain.source

    @property
    def _limit_s(self) -> float:
        return self._patience.read_timeout_s + _MARGIN_S

    def _opened(self) -> Drain:
        """Open the camera. Raises ``CameraLost`` if that takes too long; what opens later, or hangs still, is waited for first."""
        if self._left is not None:
            self._left.stop(self._limit_s)
            if self._left.alive:
                raise CameraLost(
                    f"{self._source}: its driver hangs in a call and cannot be opened anew; restart the camera, then the station"
                )
            self._left = None
        capacity = self.origin.queue_frames if self.every_frame_counts else 1
        drain = Drain(self._connect, capacity=capacity, name=self._source, awaits_trigger=self._patience.awaits_trigger)
        self._stillness.reopened()
        if not drain.wait_opened(self._patience.open_timeout_s + _OPEN_MARGIN_S) and not self._closed:
            self._left = drain
            raise CameraLost(f"{self._source}: does not open, its driver has not answered for {drain.silent_s:.1f} s; restart the camera")
        return drain

    def _check(self, drain: Drain) -> None:
        """Raise what ended the stream, or ``CameraLost`` if it is silent."""
        silent_s, ended = drain.silent_s, drain.ended
        if ended is not None:
            self._let_go()
            raise ended
        # A triggered camera's driver answers at least once within the read timeout; the others may then be late by a margin.
        if silent_s > (self._limit_s if self._patience.awaits_trigger else self._patience.read_timeout_s):
            self._let_go()
            what = "its driver has not answered" if self._patience.awaits_trigger else "no picture"
            raise CameraLost(f"{self._source}: {what} for {silent_s:.1f} s; check its power and its cable")

    def _frame(self, grab: Grab) -> Frame:
        """Return a grab as a frame, or its fault. Raises ``CameraError`` if it is no picture, or not of the size that was asked for."""
        shot = grab.shot
        self._count += 1
        frame_id = f"{self._count:08d}"
        if shot.fault is not None:
            return self.origin.fault(frame_id, f"{self._source}: {shot.fault}", shot.moment, self._source)
        try:
            image = shot.picture()
            self._check_size(image)
        except CameraError as error:
            self._let_go()
            raise CameraError(f"{self._source}: {error}") from error
        self._frozen = self._stillness.look(image, shot.number)
        if self._frozen is not None:
            return self.origin.fault(frame_id, f"{self._source}: {self._frozen}", shot.moment, self._source)
        self._opened_anew = False
        return replace(self.origin.frame(frame_id, image, shot.moment, self._source), number=shot.number, exposure_us=shot.exposure_us)

    def _check_size(self, image: Image) -> None:
        height, width = image.shape[:2]
        for key, wanted, given in (("width_px", self._size_px[0], width), ("height_px", self._size_px[1], height)):
            if wanted not in {None, given}:
                raise CameraError(f"it gives {width} x {height} pixels, {key} asks for {wanted}; ask for a size that it offers")

    def _let_go(self) -> None:
        """Drop the stream, so that the next read opens it anew."""
        drain, self._drain, self._pending = self._drain, None, None
        if drain is not None:
            drain.stop(0.0)
            self._left = drain

    def _missed(self, count: int) -> Frame:
        """Return the frame that stands for frames that nobody can judge any more."""
        self._count += 1
        reason = (
            f"{self._source}: {count} frames were missed; lower the camera's rate, raise queue_frames, check its network,"
            ' or set trigger = "newest" if not every frame counts'
        )
        return self.origin.fault(f"{self._count:08d}", reason, Moment.now(), self._source)
