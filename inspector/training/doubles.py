"""Doubles: the same picture twice, found by bytes and by decoded pixels; and near doubles, the same view saved, resized or lit anew.

Exact doubles of one label are kept once; with two labels one of them is wrong, and only a person can say which.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inspector.training.examination import Examined
from inspector.training.listing import Listed
from inspector.training.remarks import Remarks

MAX_BITS = 8
"""Difference hashes of near doubles differ in this many of 64 bits at most."""
MIN_CORRELATION = 0.95
"""Their thumbnails, freed of slow changes of light, correlate at least so much: by the hash alone any two even surfaces were doubles."""
_ROWS = 512
"""Pictures that are compared with all others at a time."""


def without_doubles(listed: Sequence[Listed], examined: Mapping[str, Examined], remarks: Remarks) -> list[Listed]:
    """Return the pictures with each exact double kept once, the one to learn from before the one to check with."""
    alike = defaultdict[str, list[Listed]](list)
    for picture in sorted(listed, key=lambda picture: (picture.split != "train", picture.file)):
        alike[examined[picture.file].pixels].append(picture)
    kept = set[str]()
    for first, *others in alike.values():
        kept.add(first.file)
        for other in others:
            if other.label != first.label:
                remarks.refuse(
                    "double with two labels",
                    f"{first.file} ({first.label}) and {other.file} ({other.label}) are the same picture; remove the wrong one",
                )
            else:
                same = "file" if examined[first.file].sha256 == examined[other.file].sha256 else "picture"
                remarks.note("double", f"{other.file}: the same {same} as {first.file}; kept once")
    return [picture for picture in listed if picture.file in kept]


def near_doubles(files: Sequence[str], examined: Mapping[str, Examined]) -> Iterator[tuple[str, str]]:
    """Yield pairs of different files that show nearly the same picture, each pair once.

    Time grows with the square of the number of pictures: 10,000 take a few seconds.
    """
    hashes = np.array([examined[file].look for file in files], np.uint64)
    details = _details(np.stack([examined[file].thumbnail for file in files])) if files else np.empty((0, 0), np.float32)
    for start in range(0, len(files), _ROWS):
        rows = slice(start, start + _ROWS)
        near = np.bitwise_count(hashes[rows, None] ^ hashes[None, start:]) <= MAX_BITS  # (rows, n - start)
        near &= np.arange(near.shape[0])[:, None] < np.arange(near.shape[1])[None]
        some, others = near.any(1), near.any(0)
        alike = np.zeros_like(near)
        alike[np.ix_(some, others)] = details[rows][some] @ details[start:][others].T >= MIN_CORRELATION
        for row, column in np.argwhere(near & alike):
            yield files[start + int(row)], files[start + int(column)]


def joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return for each file in a pair the first file, by name, of all that hang together with it."""
    parent = {file: file for pair in pairs for file in pair}

    def root(file: str) -> str:
        while parent[file] != file:
            parent[file] = parent[parent[file]]
            file = parent[file]
        return file

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {file: root(file) for file in parent}


def _details(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (n, 1024) rows of length 1, so that a product of two is their correlation; a flat picture gives zeros and is like none."""
    grey = thumbnails.astype(np.float32)
    fine = np.stack([image - cv2.GaussianBlur(image, (0, 0), 3) for image in grey]).reshape(len(grey), -1)
    fine -= fine.mean(1, keepdims=True)
    length = np.linalg.norm(fine, axis=1, keepdims=True)
    return np.asarray(np.where(length > fine.shape[1] ** 0.5 / 2, fine / np.maximum(length, 1e-6), 0), np.float32)
