"""FolderCamera: pictures from a folder, replayed at a rate, in a loop, or as they arrive.

A replay takes the order of the manifest, else of the names (``part2`` before ``part10``), and its frames are dated when they are read. A
watched folder delivers what lies there and then what is put there, oldest first, dated when the file was last written: after a restart
the same file gives the same inspection. A file that cannot be decoded is a frame with a fault; a folder that is gone is ``CameraLost``.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inspector.core.frame import Frame
from inspector.edge.camera.arrivals import SUFFIXES, Arrival, Arrivals, Stamp, list_pictures, natural
from inspector.edge.camera.camera import Moment, Origin, Pace
from inspector.edge.camera.decode import MAX_PIXELS, read_image
from inspector.edge.camera.manifest import Entry
from inspector.errors import CameraError, CameraLost

_LOOK_EVERY_S = (0.05, 1.0)
"""Shortest and longest pause between two looks at a watched folder."""
_LOOK_SHARE = 0.05
"""Share of a core that looking at a folder with many files may take."""


def entries_of(folder: Path) -> list[Entry]:
    """Return the pictures in a folder in the order of their names. Raises ``CameraError`` if there are none."""
    entries = [Entry(folder / name, name) for name in sorted(_listed(folder), key=natural)]
    if not entries:
        kinds = " ".join(sorted(SUFFIXES))
        raise CameraError(f"{folder}: there is no picture in this folder ({kinds}); put some there, or set watch = true to wait for them")
    return entries


class FolderCamera:
    """Replays entries, then watches the folder for others if it is told to."""

    def __init__(
        self,
        origin: Origin,
        folder: Path,
        entries: Sequence[Entry],
        *,
        rate_hz: float = 0.0,
        loop: bool = False,
        watch: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Take what to replay: in ``folder``, or named by a manifest. Raises ``CameraLost`` if a folder to watch is not there."""
        self.name, self.origin, self.every_frame_counts = origin.camera, origin, origin.every_frame_counts
        self.finished, self.dropped = not entries and not watch, 0
        self._folder, self._entries, self._index = folder, tuple(entries), 0
        self._loop, self._max_pixels, self._pace = loop, max_pixels, Pace(rate_hz)
        self._closed = threading.Event()
        self._ready: deque[Arrival] = deque()
        self._look_at_s = 0.0
        self._arrivals = Arrivals(self._stamps()) if watch else None

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture, or None if none is due or has arrived within the time. See ``Camera.read``."""
        until_s = time.monotonic() + timeout_s
        while not self._closed.is_set():
            pause_s = self._pace.due_in_s()
            if pause_s <= 0.0:
                frame = self._replayed() or self._arrived()
                if frame is not None:
                    self._pace.passed()
                    return frame
                pause_s = self._look_at_s - time.monotonic()
            left_s = until_s - time.monotonic()
            if self.finished or left_s <= 0.0:
                return None
            self._closed.wait(min(max(pause_s, 0.0), left_s))
        return None

    def close(self) -> None:
        """End a read that waits."""
        self._closed.set()

    def _replayed(self) -> Frame | None:
        """Return the next frame of the replay, None after the last."""
        if self._index >= len(self._entries):
            return None
        entry = self._entries[self._index]
        frame = self._frame(entry.frame_id, entry.path, Moment.now())
        self._index += 1
        if self._index == len(self._entries):
            self._index = 0 if self._loop else self._index
            self.finished = not self._loop and self._arrivals is None
        return replace(frame, product=entry.product, lot=entry.lot, part_id=entry.part_id, recorded_at=entry.recorded_at)

    def _arrived(self) -> Frame | None:
        """Return the next frame that was put into the watched folder, None if there is none or it is not time to look."""
        if self._arrivals is None:
            return None
        if not self._ready and time.monotonic() >= self._look_at_s:
            self._look(self._arrivals)
        while self._ready:
            arrival = self._ready.popleft()
            frame = self._frame(arrival.name, self._folder / arrival.name, Moment.of_file(arrival.stamp.mtime_ns))
            if not self._unchanged(arrival):
                continue  # gone, or written to while it was read: the next look decides
            if frame.fault is not None and not arrival.last_try:
                self._arrivals.unfinished(arrival)
                continue
            self._arrivals.delivered(arrival)
            return frame
        return None

    def _look(self, arrivals: Arrivals) -> None:
        """List the folder. The pause until the next look grows with what a look costs."""
        began_s = time.monotonic()
        self._ready.extend(arrivals.look(_listed(self._folder), began_s))
        shortest, longest = _LOOK_EVERY_S
        cost_s = time.monotonic() - began_s
        self._look_at_s = time.monotonic() + min(max(cost_s / _LOOK_SHARE, shortest), longest)

    def _frame(self, frame_id: str, path: Path, moment: Moment) -> Frame:
        """Decode a file into a frame, or into a frame with a fault. Raises ``CameraLost`` if the folder itself is gone."""
        try:
            image = read_image(path, max_pixels=self._max_pixels)
        except CameraError as error:
            if not self._folder.is_dir():
                raise CameraLost(_gone(self._folder)) from error
            return self.origin.fault(frame_id, str(error), moment, str(path))
        return self.origin.frame(frame_id, image, moment, str(path))

    def _stamps(self) -> dict[str, Stamp]:
        """Return the state of those files of a watched folder that are to be replayed, so that they do not arrive again."""
        replayed = {entry.path for entry in self._entries}
        return {name: stamp for name, stamp in _listed(self._folder).items() if self._folder / name in replayed}

    def _unchanged(self, arrival: Arrival) -> bool:
        try:
            status = (self._folder / arrival.name).stat()
        except FileNotFoundError:
            return False
        return Stamp(status.st_mtime_ns, status.st_size) == arrival.stamp


def _listed(folder: Path) -> dict[str, Stamp]:
    try:
        return list_pictures(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CameraLost(_gone(folder)) from error
    except OSError as error:
        raise CameraLost(f"{folder}: cannot be listed: {error.strerror}; check its mount and its permissions") from error


def _gone(folder: Path) -> str:
    return f"{folder}: there is no such folder; create or mount it, or correct path in station.toml"
