"""Write the demo station's pictures and reports from the two data sets whose licences allow it.

    python -m inspector.training.demo_station DATA calibration/demo

Pictures come from the validation splits, which no weight has learnt from. Ball screw: the history of both validation positions, each report
dated at its own inspection, so that a replayed picture sees earlier reports alone. Steel strip: the source has no lots, so coils are
simulated: each has a label mix, and its reports speak of *training* pictures drawn from the same mix.
"""

import csv
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from inspector.training.dataset import Picture, read_pictures
from inspector.training.phrasing import phrasings
from inspector.training.recipe import Recipe, read_recipe

_SCREW, _STRIP = "ball-screw", "steel-strip"
_PICTURES = {_SCREW: 60, _STRIP: 60}
_COILS = 4
_REPORTS_PER_COIL = 8
_FIRST_REPORT = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)


def write_demo_station(recipe: Recipe, data: Path, station: Path) -> None:
    """Write frames/, frames/frames.csv and reports.csv of the demo station."""
    rng = np.random.default_rng(recipe.seed)
    frames = station / "frames"
    shutil.rmtree(frames, ignore_errors=True)
    frames.mkdir(parents=True)
    pictures = {name: read_pictures(data / product.data, product.labels) for name, product in recipe.products.items()}
    screw_rows, screw_reports = _screw([p for p in pictures[_SCREW] if p.split == "val"], recipe.seed)
    strip_rows, strip_reports = _strip(pictures[_STRIP], recipe.products[_STRIP].labels, rng)
    rows = [row for pair in zip(screw_rows, strip_rows, strict=True) for row in pair]
    for picture, row in rows:
        shutil.copyfile(picture.path, frames / row["file"])
    _write_csv(frames / "frames.csv", (row for _, row in rows))
    _write_csv(station / "reports.csv", [*screw_reports, *strip_reports])


def _screw(pictures: Sequence[Picture], seed: int) -> tuple[list[tuple[Picture, dict[str, str]]], list[dict[str, str]]]:
    """Return frames and reports of the ball screw: every pitted picture, and the clean ones nearest before the first pit."""
    ordered = sorted(pictures, key=lambda p: str(p.taken_at))
    pitted = [p for p in ordered if p.label == "pitting"]
    clean = [p for p in ordered if p.label != "pitting"]
    step = len(clean) / (_PICTURES[_SCREW] - len(pitted))
    chosen = pitted + [clean[int(index * step)] for index in range(_PICTURES[_SCREW] - len(pitted))]
    chosen.sort(key=lambda p: str(p.taken_at))
    rows = []
    for place, picture in enumerate(chosen):
        rows.append((picture, _row(picture, _SCREW, picture.group, f"SCREW-{place:03d}", _instant(picture.taken_at))))
    texts = phrasings("positions", ordered, ordered, seed)
    reports = [
        _report(f"BS-{place:03d}", picture.taken_at, _SCREW, picture.group, picture.label, text[0])
        for place, (picture, text) in enumerate(zip(ordered, texts, strict=True))
    ]
    return rows, reports


def _strip(
    pictures: Sequence[Picture], labels: Sequence[str], rng: np.random.Generator
) -> tuple[list[tuple[Picture, dict[str, str]]], list[dict[str, str]]]:
    """Return frames and reports of the steel strip in simulated coils."""
    mixes = rng.dirichlet(np.full(len(labels), 0.6), size=_COILS)
    val = [p for p in pictures if p.split == "val"]
    by_label = {label: [p for p in pictures if p.split == "train" and p.label == label] for label in labels}
    chosen = [val[index] for index in rng.permutation(len(val))[: _PICTURES[_STRIP]]]
    rows, reports = [], []
    for place, picture in enumerate(chosen):
        weights = mixes[:, labels.index(picture.label)]
        coil = int(rng.choice(_COILS, p=weights / weights.sum()))
        rows.append((picture, _row(picture, _STRIP, f"coil-{coil + 1}", f"STRIP-{place:03d}", "")))
    for coil, mix in enumerate(mixes):
        for number in range(_REPORTS_PER_COIL):
            pool = by_label[labels[int(rng.choice(len(labels), p=mix))]]
            about = pool[int(rng.integers(len(pool)))]
            text = phrasings("lots", [about], [about], int(rng.integers(1 << 30)))[0][0]
            written = _FIRST_REPORT + timedelta(days=coil, hours=2 * number)
            reports.append(_report(f"XS-{coil + 1}{number:02d}", written, _STRIP, f"coil-{coil + 1}", about.label, text))
    return rows, reports


def _row(picture: Picture, product: str, lot: str, part_id: str, recorded_at: str) -> dict[str, str]:
    name = f"{part_id.lower()}{picture.path.suffix.lower()}"
    return {"file": name, "product": product, "lot": lot, "part_id": part_id, "recorded_at": recorded_at, "label": picture.label}


def _report(report_id: str, written_at: datetime | None, product: str, lot: str, label: str, text: str) -> dict[str, str]:
    return {"report_id": report_id, "written_at": _instant(written_at), "product": product, "lot": lot, "label": label, "text": text}


def _instant(instant: datetime | None) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if instant else ""


def _write_csv(path: Path, rows: Iterable[dict[str, str]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write_demo_station(read_recipe(Path("models/inspector-edge/recipe.toml")), Path(sys.argv[1]), Path(sys.argv[2]))
