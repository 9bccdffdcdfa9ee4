"""A trace to look at: where in the picture the verdict looked, as an overlay, and one page that answers "why this verdict?"."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
HOW_TO_READ = (
    "Share: how much of what the verdict token took in came from there, mean over layers: attention weight times the length of what stood"
    " there. Pull: what that did to the log-odds of the label, on the way from a verdict token that reads nothing to this one; below 0 it"
    " spoke against the label. Neither says what the answer would have been without it."
)
"""What share and pull are, on every page."""


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

    def reports(self) -> list["ReadReport"]:
        """Return the reports, the one with the largest share first."""
        trace = self.trace
        rows = [
            ReadReport(float(share), float(pull), report.report_id, f"{report.written_at:%Y-%m-%d}", report.text)
            for share, pull, report in zip(trace.reports, trace.report_pulls, self.context.reports, strict=True)
        ]
        return sorted(rows, key=lambda row: (-row.share, row.report_id))

    def to_dict(self) -> dict[str, object]:
        """Return everything for JSON; numbers of every layer and head included, rounded to 5 decimals."""
        trace, parts = self.trace, self.trace.parts
        return {
            "region": self.prediction.region,
            "scores": dict(self.prediction.scores),
            "shares": trace.shares,
            "pulls": trace.pulls_by_kind,
            "log_odds": {"reading_nothing": trace.odds[0], "as_read": trace.odds[1]},
            "layers": list(trace.layers),
            "of_layers": trace.of_layers,
            "by_layer": trace.by_layer(),
            "picture": trace.picture.round(5).tolist(),
            "reports": [asdict(row) for row in self.reports()],
            "words": [
                {"text": text, "share": float(trace.share[at]), "pull": float(trace.pull[at]), "weight": float(trace.weight[at])}
                for at, text in sorted(trace.words.items())
            ],
            "attention_weights": parts.weights.round(5).tolist(),
            "shares_by_head": parts.mixed_by_head.round(5).tolist(),
            "shares_by_layer": parts.mixed.round(5).tolist(),
            "pulls_by_head": parts.pulls.round(5).tolist(),
            "copy_differs_by": trace.difference,
        }


@dataclass(frozen=True, slots=True)
class ReadReport:
    """One report that the verdict was given beside."""

    share: float
    """Its share in what was mixed in, 0..1."""
    pull: float
    """What that did to the log-odds of the label; below 0 it spoke against it."""
    report_id: str
    """Its id."""
    written_at: str
    """The day it was written."""
    text: str
    """Its text."""


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
        f"<p>{escape(HOW_TO_READ)}</p></html>\n"
    )


def _region(region: TracedRegion) -> str:
    trace, kinds = region.trace, ("picture", "reports", "words")
    labels = sorted(region.prediction.scores.items(), key=lambda item: -item[1])
    layers = "".join(
        f"<tr><td>layer {number}</td>" + "".join(f"<td class=n>{row[key]:.3f}</td>" for key in kinds) + "</tr>"
        for number, row in zip(trace.layers, trace.by_layer(), strict=True)
    )
    whole = "".join(f"<td class=n>{trace.shares[key]:.3f}</td>" for key in kinds)
    pulls = "".join(f"<td class=n>{trace.pulls_by_kind[key]:+.3f}</td>" for key in kinds)
    return (
        f"<h2>{escape(region.prediction.region)}</h2>{_picture(side_by_side(region))}"
        f"<h3>Labels</h3><table>{''.join(_bar(p, escape(name), 1.0) for name, p in labels)}</table>"
        f"<h3>Reports</h3>{_reports(region)}<h3>Words</h3><p class=words>{_words(trace)}</p>"
        f"<h3>Picture, reports, words</h3><table><tr><th></th><th>picture</th><th>reports</th><th>words</th></tr>"
        f"<tr><td>share, all layers</td>{whole}</tr><tr><td>pull towards {escape(region.prediction.label)}</td>{pulls}</tr>{layers}</table>"
        f"<p>{escape(region.trace.odds_in_words)}</p>"
    )


def _reports(region: TracedRegion) -> str:
    """Return the reports with bars; the longest one fills its cell."""
    rows = region.reports()
    if not rows:
        return "<p>none</p>"
    longest = max(1e-9, *(row.share for row in rows))
    lines = [
        _bar(row.share, f"<td class=n>{row.pull:+.3f}</td><td>{escape(f'{row.written_at} {row.report_id}: {row.text}')}", longest, "")
        for row in rows
    ]
    return f"<table><tr><th>share</th><th></th><th>pull</th><th></th></tr>{''.join(lines)}</table>"


def _bar(share: float, cells: str, whole: float, begin: str = "<td>") -> str:
    """Return a row with a number, a bar that is full at ``whole``, and more cells, whose text is escaped already."""
    return f"<tr><td class=n>{share:.3f}</td><td class=b><div style='width:{100 * share / whole:.1f}%'></div></td>{begin}{cells}</td></tr>"


def _words(trace: Trace) -> str:
    """Return the prompt, each token the darker the larger its share."""
    most = max((trace.share[at] for at in trace.words), default=1.0)
    return "".join(
        f"<span title='share {trace.share[at]:.4f}, pull {trace.pull[at]:+.4f}, attention {trace.weight[at]:.4f}'"
        f" style='background:rgba(59,110,168,{trace.share[at] / most:.2f})'>{escape(text)}</span>"
        for at, text in sorted(trace.words.items())
    )


def _picture(image: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".png", image)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data.tobytes()).decode("ascii")}">'
