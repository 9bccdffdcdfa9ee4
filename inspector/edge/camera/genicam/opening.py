"""``open_genicam``: from a camera's settings to a live camera, found, set and started at the first read."""

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from inspector.edge.camera.camera import Origin
from inspector.edge.camera.genicam.configuring import Configurator
from inspector.edge.camera.genicam.driver import load, told_as
from inspector.edge.camera.genicam.finding import find_device
from inspector.edge.camera.genicam.source import GenicamSource, Opened
from inspector.edge.camera.stream import Patience, StreamCamera
from inspector.errors import CameraError, CameraLost
from inspector.settings import CameraSection


class SoftwareTriggeredCamera(StreamCamera):
    """A GenICam camera that takes a frame when it is asked to."""

    def trigger(self) -> None:
        """Ask for one frame now. Raises ``CameraLost`` if the camera is not there."""
        source = self.opened
        if not isinstance(source, GenicamSource):
            raise CameraLost(f"{self.name}: cannot be triggered, it is not open; see what its last fault says")
        source.trigger()


def open_genicam(origin: Origin, section: CameraSection) -> StreamCamera:
    """Return the camera; nothing is asked of the network yet. Raises ``CameraError`` if the library is not installed."""
    if not isinstance(section.device, str):
        raise CameraError("device is needed for this kind of camera; set it in station.toml")
    load()
    name = f"genicam {section.device}"
    patience = Patience(section.read_timeout_s, section.open_timeout_s, awaits_trigger=section.awaits_trigger)
    kind = SoftwareTriggeredCamera if section.trigger_source == "software" else StreamCamera
    return kind(origin, name, _connector(section, section.device, name), patience, frozen_limit=section.frozen_limit)


def _connector(section: CameraSection, device: str, name: str) -> Callable[[], GenicamSource]:
    def connect() -> GenicamSource:
        library = load()
        found = find_device(library, device, section.interface)
        with told_as(f"{name}: cannot be opened; close the program that controls it, or wait until its heartbeat has run out"):
            camera = library.connect_gige(found, iface=section.interface)
        try:
            return _started(library, camera, section, name)
        except BaseException:
            with suppress(library.GenicamError):
                camera.close()
            raise

    return connect


def _started(library: ModuleType, camera: Any, section: CameraSection, name: str) -> GenicamSource:  # noqa: ANN401 - the library's own value
    """Set the camera, open its stream and start it."""
    configured = Configurator(library, camera, name).configure(section)
    delay_us = section.packet_delay_us
    with told_as(f"{name}: its stream cannot be opened; check interface, packet_bytes and the firewall"):
        stream = camera.stream(
            iface=section.interface,
            packet_size=section.packet_bytes,
            packet_delay_ns=None if delay_us is None else round(1000 * delay_us),
            deliver_incomplete=True,
        )
        camera.acquisition_start()
    return GenicamSource(Opened(camera, stream), configured, name)
