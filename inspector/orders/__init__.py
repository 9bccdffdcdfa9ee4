"""Commands as the frame loop carries them out, between frames: ``Orders`` decides what is judged, and by which settings."""

from inspector.orders.opening import open_link
from inspector.orders.orders import Orders, Surroundings
from inspector.orders.reload import Rereading

__all__ = ["Orders", "Rereading", "Surroundings", "open_link"]
