"""The page of an evaluation: one HTML file with its pictures inside, to be read without a network and handed on as it is."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from inspector.training.measures import Measures, Rate

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ccc;padding:.3rem .8rem;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%}figure{margin:2rem 0}"
)
_CAPTIONS = {
    "confusion": "Each row is a true label, each column an answer.",
    "reliability": "Is it right as often as it says? On the dashed line it is.",
    "risk-coverage": "How the errors fall when the least sure pictures go to review.",
    "worst": "The pictures whose true label was found least probable.",
}


def page(title: str, facts: Mapping[str, str], measures: Measures, pictures: Mapping[str, Path]) -> str:
    """Return the HTML text; ``facts`` stand on top, such as model, data and date."""
    head = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    rates = {
        "accuracy": measures.accuracy,
        "macro-F1": measures.macro_f1,
        "defective pictures that pass (escapes)": measures.escapes,
        "good pictures that fail (false rejects)": measures.false_rejects,
        "pictures that go to review": measures.reviews,
    }
    rows = "".join(f"<tr><td>{name}</td>{_cells(rate)}</tr>" for name, rate in rates.items())
    rows += f"<tr><td>expected calibration error</td><td class=n>{measures.ece:.3f}</td><td></td></tr>"
    labels = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{label.n}</td>{_cells(label.recall)}{_cells(label.false_alarms)}</tr>"
        for name, label in measures.per_label.items()
    )
    figures = "".join(_figure(name, path) for name, path in pictures.items())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<table>{head}</table><h2>Numbers</h2><table><tr><th></th><th>value</th><th>95 % interval</th></tr>{rows}</table>"
        "<h2>Labels</h2><table><tr><th>label</th><th>pictures</th><th>found</th><th>interval</th>"
        "<th>false alarms</th><th>interval</th></tr>"
        f"{labels}</table><p>{measures.n} pictures of {measures.groups} groups; {measures.unjudged} could not be judged and went to review."
        f" Intervals are drawn over groups.</p>{figures}</html>\n"
    )


def _cells(rate: Rate) -> str:
    numbers = rate.to_dict()
    if numbers["value"] is None:
        return "<td class=n>-</td><td></td>"
    spread = "" if numbers["low"] is None else f"{rate.low:.3f} .. {rate.high:.3f}"
    return f"<td class=n>{rate.value:.3f}</td><td>{spread}</td>"


def _figure(name: str, path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    caption = escape(_CAPTIONS.get(name, name))
    return f'<figure><img alt="{caption}" src="data:image/png;base64,{content}"><figcaption>{caption}</figcaption></figure>'
