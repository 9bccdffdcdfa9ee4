"""Setting a GenICam camera: all that station.toml asks for, or an error that names the key, what the camera offers and what to do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from inspector.edge.camera.genicam.pixels import SUMMARY, readable
from inspector.errors import CameraError
from inspector.settings import CameraSection

_SELECTOR = "FrameStart"


@dataclass(frozen=True, slots=True)
class Configured:
    """What a camera was set to, as it says itself."""

    pixel_format: str
    """Name of the format."""
    exposure_us: float | None
    """Exposure time; None if the camera chooses it, or does not tell."""
    tick_hz: float
    """Ticks of its clock in a second; 0 if it does not tell."""


class Configurator:
    """Sets one camera. Raises ``CameraError`` at the first key that the camera does not take."""

    def __init__(self, library: ModuleType, camera: Any, name: str) -> None:  # noqa: ANN401 - the library's own value
        """Take an opened camera; ``name`` is what errors begin with."""
        self._library, self._camera, self._name = library, camera, name

    def configure(self, section: CameraSection) -> Configured:
        """Set everything that the section asks for; leave the rest as the camera has it."""
        camera = self._camera
        pixel_format = self._set_pixel_format(section.pixel_format)
        if section.roi_px is not None:
            roi = self._library.Roi(*section.roi_px)
            self._try("roi_px", section.roi_px, lambda: camera.set_roi(roi))
            if camera.roi() != roi:
                raise CameraError(f"{self._name}: roi_px: asked for {roi}, the camera took {camera.roi()}; ask for what it can take")
        if section.exposure_us is not None:
            self._switch_off("ExposureAuto")
            self._try("exposure_us", section.exposure_us, lambda: camera.set_exposure_time(float(section.exposure_us or 0.0)))
        if section.gain_db is not None:
            self._switch_off("GainAuto")
            self._try("gain_db", section.gain_db, lambda: camera.set_gain(float(section.gain_db or 0.0)))
        if section.rate_hz:
            self._try("rate_hz", section.rate_hz, lambda: camera.set_frame_rate(section.rate_hz))
        if "AcquisitionMode" in camera.nodes():
            self._try("kind", "continuous acquisition", lambda: camera.set_enum("AcquisitionMode", "Continuous"))
        self._set_trigger(section)
        is_automatic = self._read(camera.get, "ExposureAuto", "Off") != "Off"
        exposure_us = None if is_automatic else self._read(lambda _: camera.exposure_time(), "ExposureTime", None)
        return Configured(pixel_format, exposure_us, float(self._read(camera.get_integer, "GevTimestampTickFrequency", 0)))

    def _set_pixel_format(self, wanted: str | None) -> str:
        camera = self._camera
        offered = self._read(camera.available_enum_entries, "PixelFormat", [])
        usable = readable(offered)
        if wanted is not None:
            if wanted not in offered or wanted not in usable:
                raise CameraError(
                    f'{self._name}: pixel_format = "{wanted}" is not one that this camera gives and that can be judged; set it to '
                    f"{_listed(usable) or f'one of {SUMMARY}, if another camera gives it'}"
                )
            self._try("pixel_format", wanted, lambda: camera.set_enum("PixelFormat", wanted))
        now = str(self._read(camera.get_enum, "PixelFormat", "unknown"))
        if not readable([now]):
            raise CameraError(f"{self._name}: it gives {now}, which cannot be judged; set pixel_format to {_listed(usable) or SUMMARY}")
        return now

    def _set_trigger(self, section: CameraSection) -> None:
        camera = self._camera
        if section.trigger_source == "none":
            if "TriggerMode" in camera.nodes():
                self._try("trigger_source", "none", lambda: camera.disable_trigger(_SELECTOR))
            return
        source = "Software" if section.trigger_source == "software" else section.trigger_line
        offered = self._read(camera.available_enum_entries, "TriggerSource", [])
        if source not in offered:
            key = "trigger_source" if section.trigger_source == "software" else "trigger_line"
            raise CameraError(f"{self._name}: {key}: the camera has no trigger source {source}; it offers {_listed(offered) or 'none'}")
        self._try("trigger_source", source, lambda: camera.enable_trigger(_SELECTOR, source))

    def _switch_off(self, feature: str) -> None:
        """Switch an automatic off, which would else overrule what is asked for."""
        if self._read(self._camera.get, feature, "Off") != "Off":
            self._try(feature, "Off", lambda: self._camera.set_enum(feature, "Off"))

    def _try(self, key: str, value: object, act: Callable[[], object]) -> None:
        try:
            act()
        except self._library.GenicamError as error:
            raise CameraError(f"{self._name}: {key} = {value!r} is refused by the camera: {error}; correct it or leave it out") from error

    def _read(self, act: Callable[[str], Any], feature: str, otherwise: Any) -> Any:  # noqa: ANN401 - features are of any type
        """Return a feature's value, or something else for a camera without it: features are optional."""
        try:
            return act(feature)
        except self._library.GenicamError:
            return otherwise


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
