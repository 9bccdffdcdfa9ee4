"""Groups that are exchangeable by construction, with a model that is wrong now and then and sure of it."""

import numpy as np

from inspector.training.decision_fit.evidence import Evidence


def synthetic(n_groups: int, *, labels: int = 2, sizes: tuple[int, ...] = (1,), seed: int = 0, defective: float = 0.6) -> Evidence:
    """Return pictures of groups; within a group they are easy or hard alike. Every tenth group or so is judged wrongly."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), rng.choice(sizes, n_groups))
    kind = np.where(rng.random(n_groups) < defective, 1 + rng.integers(labels - 1, size=n_groups), 0)
    truths = kind[groups]
    ease = rng.normal(3.0, 2.3, n_groups)[groups] + rng.normal(0.0, 0.5, len(groups))
    logits = rng.normal(0.0, 0.7, (len(groups), labels))
    logits[np.arange(len(groups)), truths] += ease
    powered = np.exp(2.0 * (logits - logits.max(1, keepdims=True)))
    return Evidence((powered / powered.sum(1, keepdims=True))[:, None, :], truths, groups.astype(np.int64), 0)
