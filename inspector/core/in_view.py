"""What is in view: product and lot of frames that do not name their own, and from when on."""

from dataclasses import dataclass, replace
from typing import Self

from inspector.core.frame import Frame


@dataclass(frozen=True, slots=True)
class InView:
    """Product and lot in view. A frame gets what held when it was taken, not when its turn came."""

    product: str | None = None
    """Product, or None for the one of the settings."""
    lot: str | None = None
    """Lot, position or batch, or None."""
    since_ns: int = 0
    """Instant of ``time.monotonic_ns()`` from which on it holds."""
    before: "InView | None" = None
    """What held before; that of long ago is forgotten."""

    def changed(self, since_ns: int, **what: str | None) -> Self:
        """Return what is in view from an instant on, with product or lot changed."""
        earlier = replace(self, before=None if self.before is None else replace(self.before, before=None))
        return replace(self, since_ns=since_ns, before=earlier, **what)

    def at(self, instant_ns: int) -> "InView":
        """Return what held at an instant."""
        return self if self.before is None or instant_ns >= self.since_ns else self.before.at(instant_ns)

    def applied(self, frame: Frame) -> Frame:
        """Return a frame with product and lot filled in where it names none."""
        held = self.at(frame.grabbed_ns)
        if (frame.product or held.product is None) and (frame.lot or held.lot is None):
            return frame
        return replace(frame, product=frame.product or held.product, lot=frame.lot or held.lot)
