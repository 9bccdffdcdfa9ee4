"""The plan: which faults come, how long each lasts and in which order. Pure: the same seed gives the same plan."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "kill -9", "kill -9 while starting", "broker stopped", "broker kill -9", "silent network", "unknown name", "stranger's certificate",
    "access denied", "disk full",
]  # fmt: skip

_SPELLS_S: Mapping[Kind, tuple[float, float]] = {
    "kill -9": (0.0, 0.5),
    "kill -9 while starting": (0.0, 2.0),
    "broker stopped": (0.3, 3.0),
    "broker kill -9": (0.3, 3.0),
    "silent network": (3.0, 8.0),
    "unknown name": (3.0, 5.0),
    "stranger's certificate": (3.0, 5.0),
    "access denied": (3.0, 6.0),
    "disk full": (1.0, 2.0),
}
"""Shortest and longest time of each fault, seconds; for kills how long after the due moment they come."""
_MAY_HOLD_A_KILL: frozenset[Kind] = frozenset({"broker stopped", "broker kill -9", "silent network", "access denied"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the plan."""

    kind: Kind
    """What happens."""
    lasts_s: float
    """How long it lasts, seconds."""
    kill_after_s: float | None = None
    """When in its course the publishers are killed as well, seconds; None: they are not."""
    verdicts: int = 0
    """Verdicts that are logged before it comes."""


def main_plan(verdicts: int, rng: random.Random) -> list[Fault]:
    """Return the faults of the first act; for 10,000 verdicts 100 kills and more, 20 broker stops (5 of them kill -9), 10 silences."""
    counts: dict[Kind, int] = {
        "kill -9": max(3, round(verdicts * 0.008)),
        "kill -9 while starting": max(1, round(verdicts * 0.002)),
        "broker stopped": max(1, round(verdicts * 0.0015)),
        "broker kill -9": max(1, round(verdicts * 0.0005)),
        "silent network": max(1, round(verdicts * 0.001)),
        "unknown name": max(1, verdicts // 4000),
        "stranger's certificate": max(1, verdicts // 4000),
        "access denied": max(1, verdicts // 3000),
    }
    return _shuffled(counts, verdicts, rng)


def disk_plan(verdicts: int, rng: random.Random) -> list[Fault]:
    """Return the faults of the second act, which plays on a small disk."""
    counts: dict[Kind, int] = {"kill -9": 2, "broker stopped": 1, "disk full": 1}
    return _shuffled(counts, verdicts, rng)


def kills(plan: Sequence[Fault]) -> int:
    """Return how often the publishers are killed; a fault in which they get another address needs two kills more."""
    return sum(fault.kind.startswith("kill") + (fault.kill_after_s is not None) for fault in plan)


def counted(plan: Sequence[Fault]) -> dict[str, int]:
    """Return how often each fault comes."""
    return dict(Counter(fault.kind for fault in plan))


def _shuffled(counts: Mapping[Kind, int], verdicts: int, rng: random.Random) -> list[Fault]:
    """Return the faults in random order, with a random length each; the verdicts between them add up to a little more than asked for."""
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    share = verdicts / len(kinds)
    faults = []
    for kind in kinds:
        lasts_s = rng.uniform(*_SPELLS_S[kind])
        holds_kill = kind in _MAY_HOLD_A_KILL and rng.random() < 0.5
        pause = 0 if kind == "kill -9 while starting" else round(share * rng.uniform(0.7, 1.5))
        faults.append(Fault(kind, lasts_s, rng.uniform(0.0, lasts_s) if holds_kill else None, pause))
    return faults
