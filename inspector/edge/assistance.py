"""What stands in an answer of the assistant. Its JSON Schema is generated from here; changes within ``/1`` only add fields."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from inspector.core.inspection import Disposition
from inspector.core.label import Severity
from inspector.edge.payload import Instant, Payload, Probability

Kind: TypeAlias = Literal[
    "part", "why", "inspect", "count", "yield", "reports", "reviews", "station", "mark", "report", "command", "refused", "not-understood"
]
HeardBy: TypeAlias = Literal["text", "sentences", "dictation"]
Picture: TypeAlias = Literal["none", "file", "screenshot"]


class AnsweredPart(Payload):
    """The part that an answer speaks of."""

    inspection_id: str = Field(description="UUID of its inspection; one of a picture that was given now is not in the log.")
    seq: int | None = Field(ge=1, description="Number within the station; null for a picture that was given now.")
    part_id: str | None = Field(description="Serial number of the part.")
    product: str = Field(description="Product that was judged.")
    lot: str | None = Field(description="Lot, position or batch.")
    camera: str = Field(description="Name of the camera; file or screenshot for a picture that was given now.")
    judged_at: Instant = Field(description="When the verdict was reached.")
    age_s: float = Field(ge=0.0, description="How long ago, seconds.")
    image: str | None = Field(description="File of its picture; null if none was kept.")


class Settled(Payload):
    """What a person decided about a part after its verdict."""

    disposition: Disposition = Field(description="pass or fail.")
    label: str | None = Field(description="Label that the person gave.")
    reviewer: str = Field(description="Who.")


class AnsweredVerdict(Payload):
    """The verdict about that part."""

    disposition: Disposition = Field(description="pass, fail or review.")
    evaluation: Literal["OK", "NotOK", "NotDecidable", "Undefined"] = Field(description="As in a result; only OK lets a part go on.")
    label: str | None = Field(description="Label that decided; null after a fault.")
    display: str | None = Field(description="Its name for people, in the language of the question where the station has one.")
    severity: Severity | None = Field(description="How bad the station's settings call this label; null unless it is a defect.")
    reason: str = Field(description="Why, in words.")
    settled: Settled | None = Field(description="What a person decided afterwards; it goes before the verdict. Null: nobody has.")


class PastReport(Payload):
    """A historical QC report that speaks of the same."""

    report_id: str = Field(description="Its id.")
    written_at: Instant = Field(description="When it was written.")
    lot: str | None = Field(description="Lot that it speaks of.")
    label: str | None = Field(description="Label that its writer gave.")
    text: str = Field(description="What was written, word for word.")
    similarity: float | None = Field(
        ge=-1.0, le=1.0, description="Cosine similarity to what was asked for; null if it was found by its label alone."
    )


class LikelyCause(Payload):
    """What past reports say about such a defect: their words, nothing invented."""

    text: str = Field(description="The words of the report that comes nearest.")
    report_ids: list[str] = Field(min_length=1, description="Ids of the reports that it rests on, nearest first.")


class Confirmation(Payload):
    """What was asked for would act; nothing has been done. A person must confirm it on a screen, then it is sent from there."""

    action: Literal["review", "report", "command"] = Field(description="What kind of act.")
    what: str = Field(description="What would happen, in words.")
    topic: str | None = Field(description="MQTT topic that the command would go to; null for review and report.")
    payload: dict[str, Any] = Field(description="The fields of the command, review or report.")
    is_allowed: bool = Field(description="False: the station does not obey this command (commands.allow).")


class AssistPayload(Payload):
    """One answer of the assistant: ``inspector assist STATION --json``."""

    schema_id: Literal["inspector.assist/1"] = Field("inspector.assist/1", alias="schema", description="Names this schema.")
    station: str = Field(description="Name of the station.")
    asked_at: Instant = Field(description="When it was asked.")
    transcript: str | None = Field(description="What was typed or heard; null if nothing could be made of the sound.")
    heard_by: HeardBy = Field(description="text: typed. sentences: the listed sentences. dictation: free speech.")
    understood: bool = Field(description="False: nothing was looked up and nothing will be done.")
    kind: Kind = Field(description="What the question was taken for.")
    answer: str = Field(description="The answer in one or two sentences.")
    part: AnsweredPart | None = Field(description="The part that it speaks of; null if it speaks of none.")
    verdict: AnsweredVerdict | None = Field(description="The verdict about that part.")
    likely_cause: LikelyCause | None = Field(description="From past reports alone; null for good parts and where no report fits.")
    suggested_action: str = Field(description="What to do next; the person decides.")
    confidence: Probability | None = Field(description="Probability of the verdict's label, 0 to 1; null without one.")
    picture: Picture = Field(description="The picture that was judged for this answer; none: the vision side did not run.")
    reports: list[PastReport] = Field(description="Past reports that fit, nearest first.")
    figures: dict[str, float] = Field(description="Numbers that were asked for; empty if none were.")
    needs_confirmation: Confirmation | None = Field(description="What would act, if anything; the assistant itself never acts.")
    notes: list[str] = Field(description="What should be known about this answer.")
