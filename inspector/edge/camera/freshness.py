"""Freshness: tells a frame that the camera has just taken from one that lay in a buffer, by how long the read had to wait.

After a stall a decoder hands out old frames as if nothing had happened: first one after a long wait, then a backlog without any wait. A
frame that had to be waited for about as long as usual is live.
"""

import statistics
from collections import deque

STALL_S = 0.5
"""A wait longer than this and than three usual periods is a stall."""
_REMEMBERED = 9
"""Waits that the usual period is the median of: few, so that a slow camera is understood soon."""
_OPENING_BACKLOG = 25
"""Frames at most that a stream holds back while it is opened."""
_PERIODS_S = (1.0 / 240.0, 60.0)
"""Range of a camera's own word about its rate that is believed."""
_USUAL_PERIOD_S = 1.0 / 25.0


class Freshness:
    """Judges the frames of one opened stream, in order."""

    def __init__(self, claimed_hz: float = 0.0) -> None:
        """Begin a stream, which opens with a backlog; ``claimed_hz`` is the camera's own word, often wrong."""
        claimed_s = 1.0 / claimed_hz if claimed_hz > 0.0 else 0.0
        shortest, longest = _PERIODS_S
        usual_s = claimed_s if shortest <= claimed_s <= longest else _USUAL_PERIOD_S
        self._waits_s = deque([usual_s] * _REMEMBERED, maxlen=_REMEMBERED)
        self._backlog = _OPENING_BACKLOG
        self._opening = True

    def is_live(self, waited_s: float) -> bool:
        """Return whether a frame is fresh, by the seconds that its read took."""
        usual_s = statistics.median(self._waits_s)
        if self._backlog and waited_s < 0.5 * usual_s:
            self._backlog -= 1
            return False
        first, self._opening = self._opening, False
        self._waits_s.append(waited_s)
        if not first and waited_s > max(STALL_S, 3.0 * usual_s):
            self._backlog = round(waited_s / usual_s) + 5
            return False
        self._backlog = 0
        return True
