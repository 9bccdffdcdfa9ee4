"""A part in an answer: which one it is, its verdict, and what to do with it. Pure, but for the clock that is passed in."""

from datetime import datetime

from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.edge.assistance import AnsweredPart, AnsweredVerdict, Picture, Settled

_OLD_S = 600.0
"""A newest verdict older than this may not be about the part that the operator looks at."""


def part_of(inspection: Inspection, asked_at: datetime) -> AnsweredPart:
    """Return which part an inspection is about."""
    return AnsweredPart(
        inspection_id=inspection.inspection_id,
        seq=inspection.seq,
        part_id=inspection.part_id,
        product=inspection.product,
        lot=inspection.lot,
        camera=inspection.camera,
        judged_at=inspection.inspected_at,
        age_s=round(max((asked_at - inspection.inspected_at).total_seconds(), 0.0), 1),
        image=inspection.image_path,
    )


def verdict_of(inspection: Inspection, labels: LabelSet | None, language: str, settled: Settled | None) -> AnsweredVerdict:
    """Return the verdict of an inspection; the label's display name is of ``language``, else English."""
    label, verdict = inspection.label, inspection.verdict
    is_defect = label is not None and labels is not None and label != labels.good
    return AnsweredVerdict(
        disposition=verdict.disposition,
        evaluation=verdict.evaluation,
        label=label,
        display=None if label is None or labels is None else display(labels, label, language),
        severity=labels.severity.get(label, "major") if is_defect and labels is not None and label is not None else None,
        reason=verdict.reason,
        settled=settled,
    )


def display(labels: LabelSet, label: str, language: str) -> str | None:
    """Return a label's name for people, in a language or else in English; None if the station has neither."""
    names = labels.display.get(label, {})
    return names.get(language) or names.get("en")


def name_of(inspection: Inspection) -> str:
    """Return how a person would name the part."""
    return f"part {inspection.part_id}" if inspection.part_id else f"picture {inspection.frame_id}"


def sentence_about(inspection: Inspection, verdict: AnsweredVerdict, age_s: float) -> str:
    """Return the verdict in a sentence."""
    label = verdict.display or verdict.label
    share = f", {label} with probability {inspection.confidence:.2f}" if label and inspection.confidence is not None else ""
    told = {"pass": "passed", "fail": "failed", "review": "must be looked at by a person"}[verdict.disposition]
    when = f", {age(age_s)} ago" if inspection.seq is not None else ""
    text = f"{name_of(inspection)} {told}{share}{when}: {verdict.reason}."
    if verdict.settled is not None:
        text += f" Then {verdict.settled.reviewer} decided {verdict.settled.disposition}."
    return text[0].upper() + text[1:]


def age(seconds: float) -> str:
    """Return a span of time as people say it."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def action_for(verdict: AnsweredVerdict, age_s: float, picture: Picture) -> str:
    """Return what to do with a part; no word of it lets a part go on that has not passed before the station's own camera."""
    if verdict.settled is not None:
        return f"Follow what {verdict.settled.reviewer} has decided: {verdict.settled.disposition}."
    if verdict.evaluation == "OK":
        return _after_a_pass(age_s, picture)
    if verdict.evaluation == "NotOK":
        return "Take the part out." + (" The defect is critical: tell the shift lead now." if verdict.severity == "critical" else "")
    if verdict.evaluation == "NotDecidable":
        return "Look at the part and decide: the model is not sure."
    return "Nothing was judged: look at the part yourself and cure what the reason names."


def _after_a_pass(age_s: float, picture: Picture) -> str:
    if picture != "none":
        return "Let the station's own camera judge the part: a picture that was handed in lets nothing pass."
    if age_s > _OLD_S:
        return "Make sure that this is the part before you; the part that was judged may go on."
    return "None: the part may go on."


def remarks(inspection: Inspection, age_s: float, picture: Picture) -> list[str]:
    """Return what should be known about an answer on this part."""
    notes = []
    if picture == "none" and age_s > _OLD_S:
        notes.append(f"The verdict is {age(age_s)} old: it may not be about the part before you.")
    if picture == "screenshot":
        notes.append("The whole screen was judged, windows and all; with --box the part of it that shows the part is judged.")
    if picture != "none":
        notes.append("This picture was judged for this answer alone: nothing was logged or published.")
    if inspection.is_simulated:
        notes.append("The station is marked as simulated: this is not a part on the line.")
    return notes
