"""GenICam cameras over GigE Vision: ``open_genicam`` is the one door. ``viva-genicam`` is imported when the first one is opened."""

from inspector.edge.camera.genicam.opening import open_genicam

__all__ = ["open_genicam"]
