"""Cameras: ``open_camera`` is the one door. A ``Feed`` carries each camera's frames into the ``FrameQueue`` of the station's ``Line``."""

from inspector.edge.camera.camera import Camera, Moment, Origin, SoftwareTriggered
from inspector.edge.camera.counters import CameraCounters, CountsPackets
from inspector.edge.camera.decode import MAX_PIXELS, decode_image, read_image
from inspector.edge.camera.feed import Backoff, CameraFault, Feed
from inspector.edge.camera.line import Line, open_line
from inspector.edge.camera.opening import open_camera
from inspector.edge.camera.queue import FrameQueue

__all__ = [
    "MAX_PIXELS",
    "Backoff",
    "Camera",
    "CameraCounters",
    "CameraFault",
    "CountsPackets",
    "Feed",
    "FrameQueue",
    "Line",
    "Moment",
    "Origin",
    "SoftwareTriggered",
    "decode_image",
    "open_camera",
    "open_line",
    "read_image",
]
