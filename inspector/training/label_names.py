"""Labels of a folder in the words of the station: as they are, or renamed by ``good=ok,functional`` (station's label = folder's labels)."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from inspector.errors import DataError
from inspector.training.listing import Listed, Split
from inspector.training.remarks import Remarks

FEW = 10
"""With fewer pictures of a label than this the model hardly learns it."""


def parse_renames(words: Iterable[str]) -> dict[str, str]:
    """Return folder's label -> station's label. Raises ``DataError`` that names every word it cannot read."""
    renames, wrong = dict[str, str](), list[str]()
    for word in words:
        label, equals, names = word.partition("=")
        sources = [name.strip() for name in names.split(",") if name.strip()]
        if not equals or not label.strip() or not sources:
            wrong.append(f"{word!r}: expected the station's label, =, and the folder's labels: good=ok,functional")
        for source in sources:
            if renames.setdefault(source, label.strip()) != label.strip():
                wrong.append(f"{word!r}: {source!r} is renamed twice, to {renames[source]!r} and to {label.strip()!r}")
    if wrong:
        raise DataError("--map", wrong)
    return renames


def with_station_labels(listed: Sequence[Listed], labels: Sequence[str], renames: Mapping[str, str], remarks: Remarks) -> list[Listed]:
    """Return the pictures whose labels the station knows, in its words; each label that it does not know is refused once."""
    for source, label in sorted(renames.items()):
        if label not in labels:
            remarks.refuse("unknown label", f"--map {label}={source}: {label!r} is not one of the product's labels {', '.join(labels)}")
    renamed = [replace(picture, label=renames.get(picture.label, picture.label)) for picture in listed]
    for label, count in sorted(Counter(picture.label for picture in renamed if picture.label not in labels).items()):
        if label not in renames.values():
            remarks.refuse(
                "unknown label", f"label {label!r} ({_pictures(count)}) is not one of the product's labels; {_cure(label, labels)}"
            )
    return [picture for picture in renamed if picture.label in labels]


def check_counts(listed: Sequence[Listed], needed: Iterable[str], split: Split | None, remarks: Remarks) -> None:
    """Check the sides that were asked for: both train and val where ``split`` is None.

    A side may not be empty. A label of ``needed`` without a picture to learn from is refused; few, or none to check with, are noted.
    """
    asked: tuple[Split, ...] = ("train", "val") if split is None else (split,)
    for side in asked:
        counts = Counter(picture.label for picture in listed if picture.split == side)
        if not counts:
            remarks.refuse("empty side", f"there is no picture in {side}; {_LAYOUT}")
            continue
        for label in needed:
            _check_label(label, counts[label], side, remarks)


def _check_label(label: str, count: int, side: Split, remarks: Remarks) -> None:
    if side == "train" and not count:
        remarks.refuse("label without pictures", f"label {label!r} has no picture in train; add some, or take it out of the labels")
    elif side == "train" and count < FEW:
        remarks.note("few pictures", f"label {label!r} has {_pictures(count)} to learn from: fewer than {FEW} hardly teach anything")
    elif not count:
        remarks.note("nothing to check with", f"label {label!r} has no picture in {side}: how well it is recognised cannot be measured")


_LAYOUT = "expected annotations.json, COCO, or folders such as train/<label>/a.jpg and val/<label>/b.jpg (docs/data.md)"


def _cure(label: str, labels: Sequence[str]) -> str:
    folded = {_folded(name): name for name in labels}
    near = difflib.get_close_matches(_folded(label), folded, n=1, cutoff=0.6)
    if near:
        meant = folded[near[0]]
        return (
            f"did you mean {meant!r}? Then rename the folder or say --map '{meant}={label}'; a new label goes into labels in station.toml"
        )
    first = labels[0]
    return f"known are {', '.join(labels)}. Add it to labels in station.toml, or count it as another: --map '{first}={label}'"


def _folded(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _pictures(count: int) -> str:
    return f"{count} picture{'s' if count != 1 else ''}"
