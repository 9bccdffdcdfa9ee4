"""The soak's trends and samples."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.core.inspection import Inspection
from inspector.edge.log import Log
from tests.soak.picture import draw
from tests.soak.sampling import take
from tests.soak.trend import trend

AT_S = [10.0 * number for number in range(360)]


def test_a_rise_is_found_with_its_size() -> None:
    noise = np.random.default_rng(1).normal(0, 0.5, len(AT_S))
    line = trend(AT_S, [100 + 12 * at / 3600 + jitter for at, jitter in zip(AT_S, noise, strict=True)])
    assert line is not None
    assert line.low < 12 < line.high
    assert not line.is_flat


def test_noise_around_a_level_is_flat() -> None:
    line = trend(AT_S, list(np.random.default_rng(2).normal(100, 3, len(AT_S))))
    assert line is not None
    assert line.is_flat


def test_samples_that_resemble_their_neighbours_count_for_less() -> None:
    steps = np.random.default_rng(3).normal(0, 1, len(AT_S))
    alike, apart = trend(AT_S, list(np.cumsum(steps) * 0.1)), trend(AT_S, list(steps * np.std(np.cumsum(steps) * 0.1)))
    assert alike is not None
    assert apart is not None
    assert alike.high - alike.low > 3 * (apart.high - apart.low)


def test_a_constant_has_no_slope_and_no_spread_and_five_samples_have_no_trend() -> None:
    line = trend(AT_S, [7.0] * len(AT_S))
    assert line is not None
    assert (line.per_hour, line.low, line.high) == (0.0, 0.0, 0.0)
    assert trend(AT_S[:5], [1.0] * 5) is None


@pytest.fixture
def make_inspection() -> Callable[..., Inspection]:
    from datetime import UTC, datetime  # noqa: PLC0415 - for this fixture alone

    from inspector.core.inspection import Verdict, inspection_id  # noqa: PLC0415 - as above

    def make(number: int, age_ms: float) -> Inspection:
        instant = datetime.now(UTC)
        fields: dict[str, Any] = {
            "inspection_id": inspection_id("s", "c", str(number), number),
            "station": "s",
            "camera": "c",
            "frame_id": str(number),
            "product": "p",
            "captured_at": instant,
            "inspected_at": instant,
            "frame_age_ms": age_ms,
            "verdict": Verdict("pass", (), "good"),
            "predictions": (),
            "timings_ms": {},
            "model": "m",
            "lot": None,
            "width_px": 1,
            "height_px": 1,
            "source": None,
        }
        return Inspection(**fields)

    return make


def test_a_sample_tells_what_process_and_log_hold(tmp_path: Path, make_inspection: Callable[..., Inspection]) -> None:
    with Log(tmp_path / "s.db", "s") as log:
        for number in range(1, 101):
            log.append(make_inspection(number, float(number)))
        sample = take(os.getpid(), tmp_path / "s.db", time.monotonic())
    assert (sample.verdicts, sample.waiting) == (100, 0)
    assert sample.p50_ms == pytest.approx(50.5)
    assert sample.p99_ms == pytest.approx(99.01)
    assert sample.rss_mib > 1
    assert sample.descriptors > 2
    assert sample.threads >= 1
    assert sample.wal_kib > 0
    draw(tmp_path / "soak.png", [sample, sample], dict.fromkeys(("rss_mib", "descriptors", "threads", "wal_kib", "p50_ms", "p99_ms"), "x"),
         dict.fromkeys(("rss_mib", "descriptors", "threads", "wal_kib", "p50_ms", "p99_ms")), "a soak")  # fmt: skip
    assert (tmp_path / "soak.png").stat().st_size > 1000
