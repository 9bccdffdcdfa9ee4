"""A token bucket: so many at once, so many a minute in the long run. Pure: the clock comes from outside."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Lets things through at a rate."""

    per_s: float
    """Tokens that come a second."""
    size: float
    """Tokens that it holds at most, 1 or more."""
    tokens: float = -1.0
    """Tokens in it; below zero it was never asked and is full."""
    asked_s: float = 0.0
    """When it was last asked, seconds of the monotonic clock."""

    def take(self, now_s: float) -> bool:
        """Take a token; return False if there is none."""
        grown = self.size if self.tokens < 0.0 else self.tokens + max(now_s - self.asked_s, 0.0) * self.per_s
        self.tokens, self.asked_s = min(grown, self.size), now_s
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
