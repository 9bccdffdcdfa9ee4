"""``open_camera``: from a station's settings to a camera."""

import functools
from collections.abc import Callable
from pathlib import Path

import cv2

from inspector.edge.camera.camera import Camera, Origin
from inspector.edge.camera.capture import Capture, OpenCapture, device_name, open_device, open_network, without_password
from inspector.edge.camera.capture_source import CaptureSource
from inspector.edge.camera.decode import MAX_PIXELS
from inspector.edge.camera.folder import FolderCamera, entries_of
from inspector.edge.camera.genicam import open_genicam
from inspector.edge.camera.manifest import read_manifest
from inspector.edge.camera.stream import Patience, StreamCamera
from inspector.edge.camera.video import VideoCamera
from inspector.errors import CameraError
from inspector.settings import CameraSection


def open_camera(
    name: str,
    section: CameraSection,
    *,
    station: str,
    base: Path,
    max_pixels: int = MAX_PIXELS,
    capture: OpenCapture = cv2.VideoCapture,
) -> Camera:
    """Open a camera; relative paths are taken from ``base``, pictures of more than ``max_pixels`` are faults.

    Raises ``CameraError`` if a folder, manifest or video is not there or not usable. A live camera is opened by the first
    read, so that a station can start before its cameras have power. ``capture`` stands in for OpenCV's for device and rtsp.
    """
    origin = Origin(station, name, section.every_frame_counts, section.queue_frames)
    try:
        match section.kind:
            case "folder":
                return _folder(origin, section, base, max_pixels)
            case "video":
                return VideoCamera(origin, _path(section, base), rate_hz=section.rate_hz, loop=section.loop)
            case "device":
                return _device(origin, section, capture)
            case "rtsp":
                return _network(origin, section, capture)
            case "genicam":
                return open_genicam(origin, section)
    except CameraError as error:  # CameraLost too: at the start, a file that is not there is a mistake in the settings
        raise CameraError(f"cameras.{name}: {error}") from error


def _folder(origin: Origin, section: CameraSection, base: Path, max_pixels: int) -> Camera:
    folder = _path(section, base)
    if section.manifest is not None:
        entries = read_manifest(base / section.manifest, folder)
    else:
        entries = [] if section.watch else entries_of(folder)
    return FolderCamera(origin, folder, entries, rate_hz=section.rate_hz, loop=section.loop, watch=section.watch, max_pixels=max_pixels)


def _device(origin: Origin, section: CameraSection, capture: OpenCapture) -> Camera:
    if section.device is None:
        raise _missing("device")
    size_px, name = (section.width_px, section.height_px), device_name(section.device)
    connect = functools.partial(open_device, section.device, *size_px, section.read_timeout_s, capture)
    return _streamed(origin, section, name, connect, size_px)


def _network(origin: Origin, section: CameraSection, capture: OpenCapture) -> Camera:
    if section.url is None:
        raise _missing("url")
    connect = functools.partial(open_network, section.url, section.open_timeout_s, section.read_timeout_s, capture)
    return _streamed(origin, section, without_password(section.url), connect)


def _streamed(
    origin: Origin,
    section: CameraSection,
    name: str,
    connect: Callable[[], Capture],
    size_px: tuple[int | None, int | None] = (None, None),
) -> Camera:
    patience = Patience(section.read_timeout_s, section.open_timeout_s)
    return StreamCamera(origin, name, lambda: CaptureSource(connect(), name), patience, size_px=size_px, frozen_limit=section.frozen_limit)


def _path(section: CameraSection, base: Path) -> Path:
    if section.path is None:
        raise _missing("path")
    return base / section.path


def _missing(key: str) -> CameraError:
    """The settings ask for the key; this guards sections that are made by hand."""
    return CameraError(f"{key} is needed for this kind of camera; set it in station.toml")
