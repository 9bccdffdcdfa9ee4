"""Reading a running station's own port for Prometheus: how its cameras have fared, for whoever looks from outside."""

import http.client
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from inspector.edge.health.payload import CameraFigures
from inspector.edge.health.prometheus import BUILD, BY_CAMERA, CAMERA_AGE, CAMERA_UP, HOST

_PATIENCE_S = 2.0
"""How long the port may take to answer."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a port told."""

    model: str
    """``name@revision`` of the checkpoint."""
    cameras: dict[str, CameraFigures]
    """How each camera has fared, by name."""


def scrape(port: int, station: str) -> Scraped | None:
    """Ask the port on this machine; None if nobody answers there, or another station or program."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        text = connection.getresponse().read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    build = next((sample.labels for sample in samples if sample.name == f"{BUILD}_info"), {})
    if build.get("station") != station:
        return None
    return Scraped(f"{build['model']}@{build['revision']}", _cameras(samples))


def _cameras(samples: Iterable[Sample]) -> dict[str, CameraFigures]:
    """Return the counters of each camera that the samples tell of."""
    by_camera: dict[str, dict[str, float]] = {}
    for sample in samples:
        if "camera" in sample.labels:
            by_camera.setdefault(sample.labels["camera"], {})[sample.name] = sample.value
    return {
        camera: CameraFigures(
            **{field: int(values[f"{name}_total"]) for field, (name, _) in BY_CAMERA.items()},
            is_lost=not values[CAMERA_UP],
            last_frame_age_ms=1e3 * values[CAMERA_AGE] if CAMERA_AGE in values else None,
        )
        for camera, values in by_camera.items()
    }
