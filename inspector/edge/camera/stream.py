"""StreamCamera: a live camera, be it a network stream or a V4L2 device. A loss shows in its frames: ``isOpened`` stays true.

The source is opened by the first read and again after each loss. Frames are dated when they arrive. Where every frame counts and some
were missed (the station is too slow, or the stream stalled), a frame with a fault stands for them.
"""

from collections.abc import Callable

from inspector.core.frame import Frame, Image
from inspector.edge.camera.camera import Moment, Origin
from inspector.edge.camera.capture import Capture, to_rgb
from inspector.edge.camera.drain import Drain, Grab
from inspector.errors import CameraError, CameraLost

_MARGIN_S = 0.5
"""How much longer than the read timeout the drivers may take to notice it themselves."""


class StreamCamera:
    """Delivers the frames of a live camera."""

    def __init__(
        self,
        origin: Origin,
        source: str,
        connect: Callable[[], Capture],
        *,
        read_timeout_s: float,
        size_px: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """Take how to connect, which raises ``CameraLost`` if it fails, and the (width, height) that frames must have if it is given."""
        self.name, self.origin, self.every_frame_counts = origin.camera, origin, origin.every_frame_counts
        self.finished, self.dropped = False, 0
        self._source, self._connect, self._read_timeout_s, self._size_px = source, connect, read_timeout_s, size_px
        self._drain: Drain | None = None
        self._pending: Grab | None = None
        self._count, self._closed = 0, False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, None if none came within the time. Just after opening it waits for the first one. See ``Camera.read``."""
        if self._closed:
            return None
        if self._pending is not None:
            pending, self._pending = self._pending, None
            return self._frame(pending)
        opening = self._drain is None
        drain = self._drain = self._drain or self._connected()
        grab = drain.take(self._read_timeout_s + _MARGIN_S if opening else timeout_s)
        if grab is None:
            self._check(drain)
            return None
        if grab.missed and self.every_frame_counts:
            self._pending = grab
            return self._missed(grab.missed)
        self.dropped += grab.missed
        return self._frame(grab)

    def close(self) -> None:
        """Stop reading and let the camera go."""
        self._closed = True
        if self._drain is not None:
            self._drain.stop(self._read_timeout_s + _MARGIN_S)

    def _connected(self) -> Drain:
        capacity = self.origin.queue_frames if self.every_frame_counts else 1
        return Drain(self._connect(), capacity=capacity, name=self.name)

    def _check(self, drain: Drain) -> None:
        """Raise ``CameraLost`` if the stream has ended or is silent."""
        silent_s = drain.silent_s
        if drain.ended is not None:
            reason = drain.ended
        elif silent_s > self._read_timeout_s:
            reason = f"no picture for {silent_s:.1f} s"
        else:
            return
        self._let_go()
        raise CameraLost(f"{self._source}: {reason}; check its power and its cable")

    def _frame(self, grab: Grab) -> Frame:
        """Return a grab as a frame. Raises ``CameraError`` if it is no picture or not of the size that was asked for."""
        self._count += 1
        try:
            image = to_rgb(grab.image)
            self._check_size(image)
        except CameraError as error:
            self._let_go()
            raise CameraError(f"{self._source}: {error}") from error
        return self.origin.frame(f"{self._count:08d}", image, grab.moment, self._source)

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

    def _missed(self, count: int) -> Frame:
        """Return the frame that stands for frames that nobody can judge any more."""
        self._count += 1
        reason = (
            f"{self._source}: {count} frames were missed; lower the camera's rate, raise queue_frames,"
            ' or set trigger = "newest" if not every frame counts'
        )
        return self.origin.fault(f"{self._count:08d}", reason, Moment.now(), self._source)
