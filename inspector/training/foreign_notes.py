"""Notes about other machines among a visit's reports, so that a model learns to leave them aside.

A report that has nothing to do with the part says nothing about its label: mixing one in changes neither the pictures of a visit nor what
its true reports say. The notes' wordings are not those of ``ablation.FOREIGN``, which a model is tested with, and speak of other machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from inspector.training.edge_model import Visit
from inspector.training.visits import History, Visits
from inspector.vlm.prompt import Prompt

MOST = 2
"""Notes that are mixed into one visit at most."""
_MACHINES = (
    "palletiser 2", "weld robot R7", "oven zone 3", "label printer", "dust extractor", "turnstile at gate B", "paint booth fan",
    "vibratory feeder", "gearbox of mixer M3", "laser marker", "AGV 11", "shrink wrapper", "lathe L5 chuck", "scale at goods inwards",
    "roller shutter door", "UPS in the server room",
)  # fmt: skip
_EVENTS = (
    "stopped with overload, restarted by shift lead", "makes a loud noise, electrician informed", "fuse blown, new one fitted",
    "calibrated, protocol filed", "sensor dirty, wiped", "spare part ordered, delivery in wk 32", "software updated over night",
    "belt tension corrected", "vacuum too low, seal renewed", "emergency stop pressed by mistake", "oil changed at 4000 h",
    "paused: no material", "light curtain misaligned, adjusted", "temperature drifts, PID set anew", "cable broken, repaired",
    "cover screw missing, safety walk",
)  # fmt: skip


def training_notes() -> list[str]:
    """Return what technicians might write about other machines: each machine with each event."""
    return [f"{machine}: {event}" for machine in _MACHINES for event in _EVENTS]


@dataclass(frozen=True, slots=True)
class WithForeignNotes:
    """Visits among whose reports some are about other machines."""

    visits: Visits[Visit]
    """Where the visits come from."""
    prompts: Sequence[Prompt]
    """The product's prompt with 0, 1, ... reports."""
    notes: NDArray[np.float32]
    """(m, d) unit vectors of the notes."""
    share: float
    """Share of the visits that get 1 to ``MOST`` of them, 0..1; fewer where the prompt has no room beside the true ones."""

    def draw(self, rng: np.random.Generator, size: int, history: History, *, blind: bool) -> Visit:
        """Return a visit; see ``Visits``. Its own reports keep their order, the notes stand anywhere among them."""
        visit = self.visits.draw(rng, size, history, blind=blind)
        room = len(self.prompts) - 1 - len(visit.vectors)
        if rng.random() >= self.share or room <= 0:
            return visit
        count = min(int(rng.integers(1, MOST + 1)), room)
        together = len(visit.vectors) + count
        drawn = torch.from_numpy(self.notes[rng.integers(len(self.notes), size=count)])
        places = torch.from_numpy(np.sort(rng.choice(together, count, replace=False)))
        vectors = torch.empty(together, self.notes.shape[1])
        own = torch.ones(together, dtype=torch.bool)
        own[places] = False
        vectors[places], vectors[own] = drawn, visit.vectors
        return replace(visit, prompt=self.prompts[together], vectors=vectors)
