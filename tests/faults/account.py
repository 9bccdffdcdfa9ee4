"""The account of one publisher: what was made against what arrived. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Verdicts: TypeAlias = Sequence[tuple[int, str]]
"""(seq, inspection_id) of each, in the order in which they were made or arrived."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a publisher's verdicts."""

    publisher: str
    """Which publisher."""
    made: int
    """Verdicts in its log."""
    arrived: int
    """Of these, how many a subscriber got at least once."""
    lost: int
    """Of these, how many it never got."""
    unlogged: int
    """Verdicts that arrived and are not in the log."""
    doubles_before: int
    """Messages too many, as they arrive."""
    doubles_after: int
    """Messages too many once those with an ``inspection_id`` seen before are dropped: numbers that two ids bear."""
    gaps: int
    """Stretches of numbers that are missing among what arrived, counted from 1 to the last number made."""
    log_gaps: int
    """The same in the log itself."""
    order_breaks: int
    """Verdicts that arrived, for the first time, after one with a higher number."""

    @property
    def is_faultless(self) -> bool:
        """True if nothing is lost, foreign, doubled beyond repair, missing or out of order."""
        return self.made > 0 and not (self.lost or self.unlogged or self.doubles_after or self.gaps or self.log_gaps or self.order_breaks)


def account(publisher: str, made: Verdicts, arrivals: Verdicts) -> Account:
    """Compare a publisher's log with what arrived."""
    logged = {identity for _, identity in made}
    seen = {identity for _, identity in arrivals}
    in_order = first_arrivals(arrivals)
    last = max((seq for seq, _ in made), default=0)
    return Account(
        publisher=publisher,
        made=len(made),
        arrived=len(logged & seen),
        lost=len(logged - seen),
        unlogged=len(seen - logged),
        doubles_before=len(arrivals) - len(seen),
        doubles_after=len(in_order) - len(set(in_order)),
        gaps=stretches_missing(in_order, last),
        log_gaps=stretches_missing([seq for seq, _ in made], last),
        order_breaks=breaks(in_order),
    )


def first_arrivals(arrivals: Verdicts) -> list[int]:
    """Return the numbers as a subscriber sees them that drops an id which it has seen."""
    seen: set[str] = set()
    numbers = []
    for seq, identity in arrivals:
        if identity not in seen:
            seen.add(identity)
            numbers.append(seq)
    return numbers


def stretches_missing(numbers: Sequence[int], last: int) -> int:
    """Return in how many stretches numbers from 1 to ``last`` are missing."""
    present = {0, *numbers}
    return sum(number not in present and number - 1 in present for number in range(1, last + 1))


def breaks(numbers: Sequence[int]) -> int:
    """Return how many numbers come after a higher one."""
    highest, count = 0, 0
    for number in numbers:
        count += number < highest
        highest = max(highest, number)
    return count


def total(parts: Sequence[Account]) -> Account:
    """Add up a publisher's accounts of several acts."""
    numbers = {name: sum(getattr(part, name) for part in parts) for name in Account.__slots__ if name != "publisher"}
    return Account(publisher=parts[0].publisher, **numbers)
