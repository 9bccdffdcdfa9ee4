"""A reply to a question: fields, each with one value of a closed list and its probability, and one free sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

from inspector.core.label import LabelSet


@dataclass(frozen=True, slots=True)
class Field:
    """A field that the model fills in."""

    name: str
    """Its name, one word."""
    choices: tuple[str, ...]
    """Its closed list."""

    @property
    def labels(self) -> LabelSet:
        """The list as the trie knows it."""
        return LabelSet(self.choices)


@dataclass(frozen=True, slots=True)
class Filled:
    """A field with its answer."""

    field: Field
    """Which."""
    scores: Mapping[str, float]
    """Probability of every choice, given the fields before; they sum to 1. Not calibrated."""

    @property
    def value(self) -> str:
        """The most probable choice."""
        return max(self.scores, key=lambda choice: self.scores[choice])


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says to a question."""

    fields: tuple[Filled, ...]
    """In the order in which they were filled in; each was chosen with those before it in view."""
    sentence: str
    """Free text, whatever the model writes; empty if it writes nothing."""
    timings_ms: Mapping[str, float]
    """Milliseconds: read, fields, sentence."""


_ANSWERS = ("yes", "no", "not_sure")
_PLACES = ("nowhere", "everywhere", "top", "bottom", "left", "right", "middle")


def fields_for(labels: LabelSet, *, has_picture: bool, has_reports: bool) -> tuple[Field, ...]:
    """Return the fields of a reply: about a picture label and place, always the answer, and where there is a choice what it rests on."""
    bases = (*(["picture"] if has_picture else []), *(["reports"] if has_reports else []), "general_knowledge")
    about_picture = (Field("label", labels.names), Field("place", _PLACES)) if has_picture else ()
    return (*about_picture, Field("answer", _ANSWERS), *([Field("basis", bases)] if len(bases) > 1 else []))
