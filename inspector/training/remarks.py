"""What is wrong with a folder of pictures: reasons not to go on and things to know, all collected, then shown in few lines."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inspector.errors import DataError

MOST_SHOWN = 20
"""Lines that a person reads; the whole list goes into a file."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing found."""

    kind: str
    """What it has in common with others, such as ``double``."""
    text: str
    """What was found, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """A collection that grows while a folder is read."""

    refusals: list[Remark] = field(default_factory=list)
    """Reasons not to go on."""
    notes: list[Remark] = field(default_factory=list)
    """Things to know."""

    def refuse(self, kind: str, text: str) -> None:
        """Add a reason not to go on."""
        self.refusals.append(Remark(kind, text))

    def note(self, kind: str, text: str) -> None:
        """Add a thing to know."""
        self.notes.append(Remark(kind, text))

    def write(self, path: Path) -> None:
        """Write the whole list, refusals first, one a line."""
        lines = [f"error: {remark.text}" for remark in self.refusals] + [f"note: {remark.text}" for remark in self.notes]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def settle(self, folder: Path, whole_list: Path | None) -> None:
        """Write the whole list where there is one to write. Raises ``DataError`` if there was a reason not to go on."""
        if whole_list is not None:
            self.write(whole_list)
        if self.refusals:
            where = [f"all of them: {whole_list}"] if whole_list is not None and len(self.refusals) > MOST_SHOWN else []
            raise DataError(str(folder), [remark.text for remark in self.refusals], first_lines(self.refusals) + where)


def first_lines(remarks: Sequence[Remark], most: int = MOST_SHOWN) -> list[str]:
    """Return about ``most`` lines in which every kind has its share, so that 500 broken files do not hide a misspelt label."""
    if len(remarks) <= most:
        return [remark.text for remark in remarks]
    kinds = defaultdict[str, list[str]](list)
    for remark in remarks:
        kinds[remark.kind].append(remark.text)
    share = max(most // len(kinds), 1)
    lines = []
    for kind, texts in kinds.items():
        lines += texts[:share]
        if len(texts) > share:
            lines.append(f"... and {len(texts) - share} more: {kind}")
    return lines
