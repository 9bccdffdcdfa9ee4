"""One evaluation as files: evaluation.json, its pictures and the page that shows both."""

import json
from pathlib import Path
from typing import Any

from inspector.training.evaluation_page import page
from inspector.training.figures import draw_all
from inspector.training.judged import Judged
from inspector.training.measures import Measures, measure


def write_evaluation(folder: Path, judged: Judged, facts: dict[str, str]) -> tuple[Measures, dict[str, Any]]:
    """Write page, pictures and document; return numbers and document. ``facts`` name station, product, split, data and model."""
    measures = measure(judged)
    title = f"{facts['station']}: {facts['product']}, {facts['split']}"
    pictures = draw_all(folder, judged, measures, title)
    document = {**facts, "labels": list(judged.names), **measures.to_dict()}
    (folder / "evaluation.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (folder / "evaluation.html").write_text(page(title, facts, measures, pictures), encoding="utf-8")
    return measures, document
