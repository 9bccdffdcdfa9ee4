"""A trace to look at: where in the picture the verdict looked, as an overlay, and one page that answers "why this verdict?"."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from inspector.core.prediction import Prediction
from inspector.training.trace import Trace

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "img{max-width:100%}"
    "table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .8rem;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums;width:5rem}td.b{width:14rem}td.b div{background:#3b6ea8;height:.9rem}"
    "p.words span{padding:0 .1rem;white-space:pre-wrap}"
)
_LONGEST_PX = 800


@dataclass(frozen=True, slots=True)
class TracedRegion:
    """One region of a verdict with its trace."""

    image: Image
    """Its pixels as they were judged."""
    context: Context
    """What was read beside them."""
    prediction: Prediction
    """What was said."""
    trace: Trace
    """What was looked at."""

    def reports(self) -> list[tuple[float, str, str, str]]:
        """Return share, id, date and text of each report, the most looked at first."""
        rows = [
            (float(share), report.report_id, f"{report.written_at:%Y-%m-%d}", report.text)
            for share, report in zip(self.trace.reports, self.context.reports, strict=True)
        ]
        return sorted(rows, reverse=True)

    def to_dict(self) -> dict[str, object]:
        """Return everything for JSON; weights of every layer and head included, rounded to 5 decimals."""
        return {
            "region": self.prediction.region,
            "scores": dict(self.prediction.scores),
            "shares": self.trace.shares,
            "layers": list(self.trace.layers),
            "of_layers": self.trace.of_layers,
            "by_layer": self.trace.by_layer(),
            "picture": self.trace.picture.round(5).tolist(),
            "reports": [{"share": share, "report_id": id_, "written_at": at, "text": text} for share, id_, at, text in self.reports()],
            "words": [{"text": text, "share": float(self.trace.mean[at])} for at, text in sorted(self.trace.words.items())],
            "weights": self.trace.weights.round(5).tolist(),
            "copy_differs_by": self.trace.difference,
        }


def heat(image: Image, share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8 BGR: the picture, at most 800 pixels a side, lit where the verdict looked most, dark where it did not."""
    height, width = image.shape[:2]
    scale = min(1.0, _LONGEST_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.cvtColor(cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    spread = (share - share.min()) / max(float(np.ptp(share)), 1e-9)
    field = np.clip(cv2.resize(spread.astype(np.float32), size, interpolation=cv2.INTER_CUBIC), 0, 1)
    colour = cv2.applyColorMap((255 * field).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.addWeighted(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), 0.55, colour, 0.45, 0), np.uint8)


def side_by_side(region: TracedRegion) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8 BGR: the region as it was judged, and beside it where the verdict looked."""
    lit = heat(region.image, region.trace.picture)
    resized = cv2.resize(np.asarray(region.image), lit.shape[1::-1], interpolation=cv2.INTER_AREA)
    plain = cv2.cvtColor(resized, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.hconcat([plain, lit]), np.uint8)


def trace_page(title: str, facts: Mapping[str, str], regions: Sequence[TracedRegion]) -> str:
    """Return the HTML text, pictures inside, to be read without a network."""
    head = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<table>{head}</table>{''.join(map(_region, regions))}"
        "<p>Shares are attention weights of the verdict token, mean over layers and heads."
        " They say what was mixed in, not what the answer would have been without it; the first token collects what is not needed"
        " elsewhere.</p></html>\n"
    )


def _region(region: TracedRegion) -> str:
    labels = sorted(region.prediction.scores.items(), key=lambda item: -item[1])
    layers = "".join(
        f"<tr><td>layer {number}</td>" + "".join(f"<td class=n>{row[key]:.3f}</td>" for key in ("picture", "reports", "words")) + "</tr>"
        for number, row in zip(region.trace.layers, region.trace.by_layer(), strict=True)
    )
    reports = "".join(_bar(share, f"{at} {id_}: {text}", region) for share, id_, at, text in region.reports()) or "<tr><td>none</td></tr>"
    return (
        f"<h2>{escape(region.prediction.region)}</h2>{_picture(side_by_side(region))}"
        f"<h3>Labels</h3><table>{''.join(_bar(p, name, None) for name, p in labels)}</table>"
        f"<h3>Reports</h3><table>{reports}</table><h3>Words</h3><p class=words>{_words(region.trace)}</p>"
        f"<h3>Shares by layer</h3><table><tr><th></th><th>picture</th><th>reports</th><th>words</th></tr>{layers}</table>"
    )


def _bar(share: float, text: str, among: TracedRegion | None) -> str:
    """Return a row with a bar; the longest one of a region's reports fills its cell."""
    whole = 1.0 if among is None else max(float(among.trace.reports.max()), 1e-9)
    bar = f"<td class=b><div style='width:{100 * share / whole:.1f}%'></div></td>"
    return f"<tr><td class=n>{share:.3f}</td>{bar}<td>{escape(text)}</td></tr>"


def _words(trace: Trace) -> str:
    """Return the prompt, each token the darker the more it was looked at; the first one is left pale, it collects the rest."""
    most = max((trace.mean[at] for at in trace.words if at), default=1.0)
    shade = {at: min(1.0, float(trace.mean[at] / most)) if at else 0.0 for at in trace.words}
    return "".join(
        f"<span title='{trace.mean[at]:.4f}' style='background:rgba(59,110,168,{shade[at]:.2f})'>{escape(text)}</span>"
        for at, text in sorted(trace.words.items())
    )


def _picture(image: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".png", image)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data.tobytes()).decode("ascii")}">'
