"""A label set: the closed vocabulary of answers for one product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["minor", "major", "critical"]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of one product. The model can answer with these and with nothing else."""

    names: tuple[str, ...]
    """Label names as they stand in the log and in messages, in a fixed order."""
    good: str | None = None
    """The label that means "no defect"; None if the product has none, then nothing can pass."""
    display: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Names for people: ``{label: {language: text}}``."""
    severity: Mapping[str, Severity] = field(default_factory=dict)
    """How bad a defect is; labels not named are ``major``."""

    def mistakes(self) -> list[str]:
        """Return every reason why this set cannot be used, empty if it can."""
        found = []
        if not self.names:
            found.append("labels: at least 1 label is needed, found 0")
        if len(self.names) == 1 and self.good is None:
            found.append(f"good: {self.names[0]!r} is the only label, so it must be the good one: set good to it, or name the defects too")
        for position, name in enumerate(self.names):
            if not name.strip():
                found.append(f"labels[{position}]: a label may not be empty")
            elif name != name.strip():
                found.append(f"labels[{position}]: {name!r} begins or ends with white space; remove it")
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        found += [f"labels: {name!r} is listed more than once" for name in doubled]
        if self.good is not None and self.good not in self.names:
            found.append(f"good: {self.good!r} is not one of the labels {', '.join(self.names)}")
        for key, table in (("display", self.display), ("severity", self.severity)):
            found += [f"{key}: {name!r} is not one of the labels" for name in table if name not in self.names]
        return found

    @property
    def is_good_alone(self) -> bool:
        """True if the good label is the only one: then the posterior says nothing, and normality alone can let a part pass."""
        return self.names == (self.good,)

    def spoken(self, name: str) -> str:
        """Return the label as the model reads and writes it: underscores become spaces."""
        return name.replace("_", " ")
