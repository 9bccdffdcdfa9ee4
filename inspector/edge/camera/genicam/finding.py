"""Finding a camera on the network by what its label says: serial number, user name, MAC or IP address."""

from types import ModuleType
from typing import Any

from inspector.edge.camera.genicam.driver import load, told_as
from inspector.errors import CameraLost

_ANSWERS_MS = 500
"""How long cameras may take to answer the question who is there."""
_NAMES = ("DeviceSerialNumber", "DeviceUserID")


def find_device(library: ModuleType, wanted: str, interface: str | None) -> Any:  # noqa: ANN401 - the library's own value
    """Return what the library needs to connect. Raises ``CameraLost`` that lists the cameras that did answer."""
    where = f"interface {interface}" if interface else "every interface"
    with told_as(f"genicam {wanted}: cannot look for cameras on {where}; check interface"):
        # "all" takes in the loopback interface, where simulators answer.
        found = library.discover(_ANSWERS_MS, iface=interface) if interface else library.discover(_ANSWERS_MS, all=True)
    for device in found:
        if wanted.lower() in {device.ip, device.mac.lower()}:
            return device
    seen = []
    for device in found:
        names = _names(library, device, interface)
        if wanted in names:
            return device
        seen.append(f"{device.model or 'camera'} {' '.join(filter(None, names)) or '(does not tell its serial number)'} at {device.ip}")
    raise CameraLost(
        f"genicam {wanted}: no such camera answers on {where}; "
        + (
            f"those that do: {', '.join(seen)}; correct device"
            if seen
            else "check its power, its cable, and that its address is in our subnet"
        )
    )


def seen_devices() -> list[tuple[str, str]]:
    """Return (IP address, model) of every camera that answers. Raises ``CameraError`` if the library is not installed."""
    library = load()
    with told_as("genicam: cannot look for cameras; check the network"):
        return [(str(device.ip), str(device.model or "camera")) for device in library.discover(_ANSWERS_MS, all=True)]


def _names(library: ModuleType, device: Any, interface: str | None) -> list[str]:  # noqa: ANN401 - as above
    """Ask a camera for its serial number and user name, without taking control; one that another program keeps to itself tells none."""
    try:
        camera = library.connect_gige(device, iface=interface, monitor=True)
    except library.GenicamError:
        return []
    try:
        return [value for name in _NAMES if (value := _read(library, camera, name))]
    finally:
        camera.close()


def _read(library: ModuleType, camera: Any, name: str) -> str:  # noqa: ANN401 - as above
    try:
        return str(camera.get(name)).strip()
    except library.GenicamError:  # not every camera has every feature: it then has no such name
        return ""
