"""Answering: a question and what is known, to one structured answer. The vision side runs only when a picture is given and asked about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from inspector.assist.causes import fitting, likely_cause, shown
from inspector.assist.history import History, Similar
from inspector.assist.orders import order
from inspector.assist.parts import action_for, name_of, part_of, remarks, sentence_about, verdict_of
from inspector.assist.sentences import Meaning
from inspector.assist.words import FATES, GROUPS, SPANS_H
from inspector.core.inspection import Inspection
from inspector.core.label import LabelSet
from inspector.edge.assistance import AssistPayload, HeardBy, Kind, Picture, Settled
from inspector.edge.health.condition import look
from inspector.settings import StationSettings

_NO_LOG = "The station has not judged anything yet: its log is not there."
_STOP = "The assistant neither stops nor starts a line, and nobody does by voice: use the stop button at the line."


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked."""

    transcript: str | None
    """What was typed or heard; None if nothing was understood."""
    heard_by: HeardBy
    """How."""
    meaning: Meaning | None
    """What it means; None if nothing was understood."""
    reason: str = ""
    """Why nothing was understood."""
    part: str | None = None
    """Id of the part or inspection that "this part" stands for; None: the newest verdict."""
    picture: Picture = "none"
    """Whether a picture was given, and where it came from."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that was understood."""

    question: Question
    meaning: Meaning
    at: datetime


@dataclass(frozen=True, slots=True)
class Assistant:
    """Answers questions about one station."""

    settings: StationSettings
    """Its settings."""
    root: Path
    """The folder that holds calibration/ and var/."""
    history: History | None
    """Its log; None if there is none yet."""
    similar: Similar
    """Finds reports by what they mean."""
    judge: Callable[[], Inspection]
    """Judges the picture that was given; called at most once, and only if it is asked about."""
    now: Callable[[], datetime]
    """The clock, UTC."""
    examples: tuple[str, ...] = field(default=())
    """Sentences to offer when nothing was understood."""

    def answer(self, question: Question) -> AssistPayload:
        """Return the answer. Raises ``InspectorError`` if log or picture cannot be read."""
        meaning, asked_at = question.meaning, self.now()
        parts: dict[str, Any]
        if meaning is None:
            parts = self._not_understood(question)
        else:
            parts = self._answers()[meaning.sentence.kind](_Asked(question, meaning, asked_at))
        fields = _EMPTY | {"kind": "not-understood" if meaning is None else meaning.sentence.kind} | parts
        return AssistPayload(
            station=self.settings.name,
            asked_at=asked_at,
            transcript=question.transcript,
            heard_by=question.heard_by,
            understood=meaning is not None,
            **fields,
        )

    def _answers(self) -> Mapping[Kind, Callable[[_Asked], dict[str, Any]]]:
        """Return what answers each kind of question."""
        parts, acts, figures = self._about_a_part, self._act, self._figure
        refused = {"answer": _STOP, "suggested_action": "Use the stop button at the line."}
        return {
            "part": parts, "why": parts, "inspect": parts, "mark": acts, "report": acts, "command": acts,
            "count": figures, "yield": figures,
            "reports": self._past_reports, "reviews": lambda _: self._open_reviews(), "station": lambda _: self._station(),
            "refused": lambda _: refused,
        }  # fmt: skip

    def _not_understood(self, question: Question) -> dict[str, Any]:
        offered = "; ".join(self.examples)
        return {
            "answer": f"Not understood: {question.reason}.",
            "suggested_action": f"Say or type one of the sentences that the station knows, such as: {offered}.",
        }

    def _about_a_part(self, asked: _Asked) -> dict[str, Any]:
        """Answer with a verdict, and what past reports say about such a defect."""
        inspection, picture = self._part_meant(asked.question, asked.meaning)
        if inspection is None:
            why = _NO_LOG if self.history is None else "The log holds no such part."
            return {"answer": why, "suggested_action": "Look at the part yourself.", "notes": self._hint(asked.meaning)}
        language = "zh" if any("\u4e00" <= sign <= "\u9fff" for sign in asked.question.transcript or "") else "en"
        labels = self._labels(inspection.product)
        settled = self.history.settled(inspection.inspection_id) if self.history is not None else None
        person = None if settled is None else Settled(disposition=settled[0], label=settled[1], reviewer=settled[2])
        verdict, part = verdict_of(inspection, labels, language, person), part_of(inspection, asked.at)
        cause = self._cause(inspection, labels) if verdict.severity is not None else {}
        notes = [*remarks(inspection, part.age_s, picture), *_mismatch(asked.meaning, inspection), *cause.pop("notes", [])]
        answer = sentence_about(inspection, verdict, part.age_s)
        if found := cause.get("likely_cause"):
            answer += f" A past report ({found.report_ids[0]}) says: {found.text}"
        return {
            "answer": answer,
            "part": part,
            "verdict": verdict,
            "confidence": inspection.confidence,
            "picture": picture,
            "suggested_action": action_for(verdict, part.age_s, picture),
            "notes": notes,
            **cause,
        }

    def _figure(self, asked: _Asked) -> dict[str, Any]:
        """Answer with numbers from the log."""
        if self.history is None:
            return {"answer": _NO_LOG, "suggested_action": "None."}
        span = asked.meaning.slots.get("span")
        hours = (SPANS_H[span] or self.settings.assist.shift_hours) if span else None
        since = asked.at - timedelta(hours=hours) if hours else asked.at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        label, when = asked.meaning.slots.get("label"), f"the last {hours:g} h" if hours else "today"
        counts = self.history.counts(since, label)
        figures: dict[str, float] = {"inspections": counts.total, "pass": counts.passed, "fail": counts.failed, "review": counts.review}
        told = f"In {when}: {counts.total} inspections, {counts.passed} passed, {counts.failed} failed, {counts.review} for review."
        if asked.meaning.sentence.kind == "yield":
            if counts.total:
                figures["yield"] = counts.passed / counts.total
            share = f"{counts.passed / counts.total:.1%}" if counts.total else "not known, nothing was judged"
            told = f"Yield {share}: what passed at once, reviews not counted as passed. {told}"
        elif label is not None:
            figures["with_label"] = counts.with_label
            told = f"{counts.with_label} with {label} that did not pass. {told}"
        return {"answer": told, "figures": figures, "suggested_action": "None."}

    def _past_reports(self, asked: _Asked) -> dict[str, Any]:
        """Answer with past reports about a label, or about the label of the part meant; no picture is looked at."""
        if self.history is None:
            return {"answer": _NO_LOG, "suggested_action": "None."}
        label, lot = asked.meaning.slots.get("label"), None
        product = next((name for name, one in self.settings.products.items() if label in one.labels), self.settings.default_product)
        if label is None:
            inspection = self._logged(asked.question, asked.meaning)
            if inspection is None or inspection.label is None:
                return {"answer": "The log holds no verdict with a label that reports could be looked up by.", "suggested_action": "None."}
            label, lot, product = inspection.label, inspection.lot, inspection.product
        found, notes = fitting(self.history, self.similar, product, self._labels(product) or LabelSet((label,)), label, lot)
        told = f"{len(found)} past reports speak of {label}" + (
            f"; the nearest, {found[0].report.report_id}: {found[0].report.text}" if found else "."
        )
        return {"answer": told, "reports": shown(found), "suggested_action": "None.", "notes": notes}

    def _open_reviews(self) -> dict[str, Any]:
        if self.history is None:
            return {"answer": _NO_LOG, "suggested_action": "None."}
        count = self.history.open_reviews()
        action = f"See them with: inspector log {self.settings.name} --disposition review" if count else "None."
        return {"answer": f"{count} verdicts wait for a person.", "figures": {"open_reviews": float(count)}, "suggested_action": action}

    def _station(self) -> dict[str, Any]:
        condition = look(self.settings, self.root)
        faults = [f"{fault.kind}: {fault.detail}" for fault in condition.faults]
        told = f"The station is {condition.state}{f': {condition.reason}' if condition.reason else ''}."
        action = "None." if condition.exit_code == 0 else f"Look at it: inspector status {self.settings.name}"
        return {"answer": told, "notes": faults, "suggested_action": action}

    def _act(self, asked: _Asked) -> dict[str, Any]:
        """Write down what was ordered, for a person to confirm; nothing is done."""
        inspection = self._logged(asked.question, asked.meaning) if asked.meaning.sentence.kind != "command" else None
        wanted = order(asked.meaning, self.settings, inspection)
        if wanted is None:
            return {
                "answer": "The log holds no part that this could be about.",
                "suggested_action": "Let the station judge the part first.",
            }
        notes = [] if wanted.is_allowed else ["The station does not obey this command: commands.allow in station.toml does not name it."]
        named = f" ({name_of(inspection)})" if inspection is not None else ""
        return {
            "answer": f"Not done yet. After a confirmation on the screen{named}: {wanted.what}.",
            "part": None if inspection is None else part_of(inspection, asked.at),
            "needs_confirmation": wanted,
            "suggested_action": "Confirm it on the screen if it is meant.",
            "notes": notes,
        }

    def _part_meant(self, question: Question, meaning: Meaning) -> tuple[Inspection | None, Picture]:
        """Return the inspection that is asked about, and which picture was judged for it."""
        wants_log = {"lot", "part", "label", "group"} & meaning.slots.keys()
        if question.picture != "none" and not wants_log:
            return self.judge(), question.picture
        return (None if meaning.sentence.kind == "inspect" else self._logged(question, meaning)), "none"

    def _logged(self, question: Question, meaning: Meaning) -> Inspection | None:
        """Return the logged inspection that is meant: by id, by lot, by label, by fate, or the newest."""
        slots = meaning.slots
        if self.history is None:
            return None
        if wanted := slots.get("part") or question.part:
            return self.history.part(wanted)
        if "lot" in slots and meaning.sentence.kind == "part":
            return self.history.newest_of(slots["lot"])
        if meaning.sentence.acts:
            return self.history.newest()
        label = slots.get("label") if meaning.sentence.kind == "part" else None
        return self.history.newest(GROUPS.get(slots.get("group", "")) or FATES.get(slots.get("fate", "")), label)

    def _cause(self, inspection: Inspection, labels: LabelSet | None) -> dict[str, Any]:
        if self.history is None or labels is None or inspection.label is None:
            return {}
        found, notes = fitting(self.history, self.similar, inspection.product, labels, inspection.label, inspection.lot)
        return {"likely_cause": likely_cause(found), "reports": shown(found), "notes": notes}

    def _labels(self, product: str) -> LabelSet | None:
        section = self.settings.products.get(product)
        return None if section is None else section.label_set()

    @staticmethod
    def _hint(meaning: Meaning) -> list[str]:
        return ["Give the picture with --image or --screenshot."] if meaning.sentence.kind == "inspect" else []


def _mismatch(meaning: Meaning, inspection: Inspection) -> list[str]:
    """Return a note if the part did not meet the fate that the question took for granted."""
    fate = FATES.get(meaning.slots.get("fate", ""), inspection.verdict.disposition)
    return [] if fate == inspection.verdict.disposition else [f"The question says {fate}, the verdict is {inspection.verdict.disposition}."]


_EMPTY: dict[str, Any] = {
    "part": None, "verdict": None, "likely_cause": None, "confidence": None, "picture": "none", "reports": [], "figures": {},
    "needs_confirmation": None, "notes": [],
}  # fmt: skip
