"""A coreset: few patches that stand for many, chosen so that none of the many is far from one of the few.

Greedy k-centre (Gonzalez 1985; Sener and Savarese 2018, arXiv 1708.00489), distances taken in a random projection, as PatchCore does it
(Roth et al. 2022, arXiv 2106.08265, section 3.2). N patches, C channels.
"""

import numpy as np
from numpy.typing import NDArray

_PROJECTED = 32
"""Width of the random projection: distances are kept within some tenths (Johnson and Lindenstrauss), which is enough to choose by."""


def greedy_coreset(features: NDArray[np.float32], size: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the rows of (N, C) features that stand for all of them, ``size`` or N of them: each the one farthest from those before it."""
    count, channels = features.shape
    if count <= size:
        return np.arange(count)
    rng = np.random.default_rng(seed)
    projection = rng.normal(scale=_PROJECTED**-0.5, size=(channels, _PROJECTED)).astype(np.float32)
    points = features @ projection  # (N, 32)
    squares = np.einsum("nc,nc->n", points, points)
    chosen = np.empty(size, np.int64)
    chosen[0] = rng.integers(count)
    nearest = np.full(count, np.inf, np.float32)  # (N,) squared distance to the chosen
    for place in range(1, size):
        newest = chosen[place - 1]
        np.minimum(nearest, squares - 2.0 * (points @ points[newest]) + squares[newest], out=nearest)
        nearest[newest] = -np.inf
        chosen[place] = nearest.argmax()
    return chosen
