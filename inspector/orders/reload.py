"""Reload: settings and calibration read anew while the station works. All of it is right, or nothing changes.

What takes effect at once: thresholds, normality, camera calibration, regions, quality limits and the product in view. Everything else that
has changed needs a restart, and the answer names it. Reports need no reload: imported ones are read at once.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from inspector.core.decision import DecisionCalibration
from inspector.errors import CalibrationError, SettingsError
from inspector.pipeline import Pipeline
from inspector.settings import StationSettings, read_camera_calibrations, read_decisions, read_normalities, refuse_other_model

Reread: TypeAlias = Callable[[], StationSettings]
"""Reads the station's settings anew, overrides of the command line included."""


@dataclass(frozen=True, slots=True)
class Rereading:
    """How and when the settings are read anew."""

    reread: Reread
    """Reads the station's settings, overrides of the command line included. Raises ``SettingsError``."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set when it should be done, by SIGHUP."""


_LIVE = ("station.product", "quality", "regions", "decision", "assist")
"""Keys of station.toml that take effect at once; with a section all that it holds."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to."""

    pipeline: Pipeline
    """The pipeline with what takes effect at once."""
    settings: StationSettings
    """What was read."""
    changed: tuple[str, ...]
    """What has changed and takes effect now."""
    needs_restart: tuple[str, ...]
    """What has changed in the file and takes effect at the next start."""


class ReloadError(Exception):
    """Something that was read is wrong; ``mistakes`` names all of it."""

    def __init__(self, mistakes: list[str]) -> None:
        """List every mistake."""
        self.mistakes = mistakes
        super().__init__("; ".join(mistakes))


def reload(pipeline: Pipeline, old: StationSettings, running: StationSettings, reread: Reread) -> Reloaded:
    """Read everything anew. Raises ``ReloadError`` with every mistake in every file.

    ``old`` is what was read last, ``running`` what the station was started with: only a restart brings the rest of it up to date.
    """
    mistakes: list[str] = []
    settings, decisions, calibrations, normalities = old, {}, {}, {}
    try:
        settings = reread()
    except SettingsError as error:
        mistakes += [f"{error.source}: {line}" for line in error.mistakes]
    try:
        decisions = read_decisions(old.folder)
    except CalibrationError as error:
        mistakes += _lines(str(error))
    try:
        calibrations = read_camera_calibrations(old.folder)
    except CalibrationError as error:
        mistakes += _lines(str(error))
    try:
        normalities = read_normalities(old.folder)
        refuse_other_model(normalities, pipeline.predictor.name, old.folder)
    except CalibrationError as error:
        mistakes += _lines(str(error))
    if not mistakes and settings.default_product not in pipeline.products:
        mistakes.append(f"station.product: {settings.default_product!r} is a product that was added; it needs a restart")
    if mistakes:
        raise ReloadError(mistakes)
    fresh = replace(
        pipeline,
        products={
            name: replace(product, decision=settings.override(decisions.get(name, DecisionCalibration())), normality=normalities.get(name))
            for name, product in pipeline.products.items()
        },
        default_product=settings.default_product,
        regions={region.name: region for region in settings.region_list()},
        quality=settings.quality,
        calibrations=calibrations,
    )
    live = [key for key in differences(old, settings) if _is_live(key)]
    later = [key for key in differences(running, settings) if not _is_live(key)]
    return Reloaded(fresh, settings, (*live, *_measured(pipeline, fresh)), tuple(later))


def differences(old: StationSettings, new: StationSettings) -> list[str]:
    """Return the dotted keys that differ between two readings of station.toml."""
    return list(_different("", old.model_dump(), new.model_dump()))


def _different(prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _different(f"{name}.", before, after)
        else:
            yield name


def _is_live(key: str) -> bool:
    return any(key == live or key.startswith(f"{live}.") for live in _LIVE)


def _measured(old: Pipeline, new: Pipeline) -> Iterator[str]:
    """Name what has changed in the measured files, as far as it is used."""
    for name, product in new.products.items():
        if product.decision != old.products[name].decision:
            yield f"decision of {name}"
        if product.normality != old.products[name].normality:
            yield f"normality of {name}"
    for camera in dict.fromkeys([*old.calibrations, *new.calibrations]):
        if old.calibrations.get(camera) != new.calibrations.get(camera):
            yield f"calibration of camera {camera}"


def _lines(text: str) -> list[str]:
    """Return one line for each mistake of a measured file, each with the file's name."""
    head, *rest = text.splitlines()
    source = head.rsplit(": ", 1)[0]
    return [f"{source}: {line.removeprefix('  - ')}" for line in rest] or [head]
