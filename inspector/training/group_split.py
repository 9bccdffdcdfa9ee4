"""Sides for pictures that have none: about 80 % of a label's groups to learn from, 20 % to check with, and no group torn apart.

The choice hangs on a hash of each group's name and a seed, and on which labels a group holds, never on the order of files or on how
many pictures a group has (but for one that holds more than half of a label's pictures: it is needed for learning). So pictures that are
added to a group, of labels that it has already, move no group.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

VAL_SHARE = 0.2
"""Share of a label's groups that is checked with."""
Side: TypeAlias = Literal["train", "val"]


def split_groups(members: Iterable[tuple[str, str]], seed: int) -> dict[str, Side]:
    """Return the side of each group from the (group, label) of every picture.

    Labels with few groups choose first. A label with two groups or more has at least one on either side where the other labels allow it;
    one with a single group is learnt from and cannot be checked.
    """
    count = Counter(members)
    groups_of = _index((label, group) for group, label in count)
    labels_of = _index(count)
    large = _dominant(count)
    sides = dict[str, Side]()
    for label in sorted(groups_of, key=lambda label: (len(groups_of[label]), label)):
        groups = groups_of[label]
        wanted = max(round(VAL_SHARE * len(groups)), 1) if len(groups) > 1 else 0
        missing = wanted - sum(sides.get(group) == "val" for group in groups)
        for group in sorted(groups - sides.keys(), key=lambda group: (group in large, _place(group, seed))):
            chosen = missing > 0 and _leaves_some(group, labels_of[group], groups_of, sides)
            sides[group] = "val" if chosen else "train"
            missing -= chosen
    return sides


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found = defaultdict[str, set[str]](set)
    for key, value in pairs:
        found[key].add(value)
    return dict(found)


def _dominant(count: Mapping[tuple[str, str], int]) -> set[str]:
    """Return the groups that hold more than half of the pictures of some label."""
    total = Counter[str]()
    for (_, label), pictures in count.items():
        total[label] += pictures
    return {group for (group, label), pictures in count.items() if 2 * pictures > total[label]}


def _leaves_some(group: str, labels: Iterable[str], groups_of: Mapping[str, set[str]], sides: Mapping[str, Side]) -> bool:
    """Tell whether each of a group's labels keeps another group to learn from."""
    return all(any(sides.get(other) != "val" for other in groups_of[label] - {group}) for label in labels)


def _place(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}|{group}".encode()).digest()
