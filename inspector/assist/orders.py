"""Orders: what would act is written down for a person to confirm on a screen. Nothing here sends, writes or starts anything."""

from collections.abc import Mapping
from typing import Any

from inspector.assist.sentences import Meaning
from inspector.core.inspection import Inspection
from inspector.edge.assistance import Confirmation
from inspector.edge.topics import Topics
from inspector.settings import StationSettings

_WHAT: Mapping[str, str] = {
    "pause": "the station judges no more parts until it is told to resume",
    "resume": "the station judges parts again",
    "reload": "the station reads its settings and calibration anew",
    "trigger": "the station takes one picture now and judges it",
    "snapshot": "the newest judged picture is published",
    "lot": "parts that name no lot are counted to lot {lot} from now on",
    "product": "parts that name no product are judged as {product} from now on",
}


def order(meaning: Meaning, settings: StationSettings, about: Inspection | None) -> Confirmation | None:
    """Return what must be confirmed; None if the order speaks of a part and none is known."""
    slots = dict(meaning.slots)
    if meaning.sentence.kind == "command":
        verb = meaning.sentence.verb
        return Confirmation(
            action="command",
            what=_WHAT[verb].format(**slots),
            topic=Topics.of(settings).command(verb),
            payload=slots if verb in {"lot", "product"} else {},
            is_allowed=verb in settings.commands.allow,
        )
    if about is None:
        return None
    label = slots["label"]
    if meaning.sentence.kind == "mark":
        good = settings.products[about.product].good if about.product in settings.products else None
        disposition = "pass" if label == good else "fail"
        fields: dict[str, Any] = {"inspection_id": about.inspection_id, "disposition": disposition, "label": label}
        what = f"a person's decision is set beside the verdict: {disposition}, {label}"
        return Confirmation(action="review", what=what, topic=None, payload=fields, is_allowed=about.seq is not None)
    fields = {"product": about.product, "lot": about.lot, "label": label, "text": label.replace("_", " ")}
    what = f"a QC report is written: {label} on lot {about.lot or 'unknown'}"
    return Confirmation(action="report", what=what, topic=None, payload=fields, is_allowed=True)
