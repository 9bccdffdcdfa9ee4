"""A folder of labelled pictures -> what may be learnt from and checked with, what was found wrong, and a hash of it all.

``read_labelled`` is the one door for training, calibration and evaluation. ``test/`` is opened only where ``split="test"`` is asked for.
Every fault is collected and told at once; single broken files are left out, many are refused.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from inspector.core.label import LabelSet
from inspector.errors import DataError
from inspector.training.doubles import joined, near_doubles, without_doubles
from inspector.training.examination import Examined, examine
from inspector.training.group_split import split_groups
from inspector.training.groups import GroupRule, NoGroups, grouped
from inspector.training.label_names import check_counts, with_station_labels
from inspector.training.listing import Listed, Split, list_loose_pictures, list_pictures
from inspector.training.listing.reviewed import among
from inspector.training.picture import Picture
from inspector.training.remarks import Remark, Remarks, first_lines

MAX_FAULTY_SHARE = 0.05
"""Share of pictures that may be unusable before the folder is refused."""
_ALIKE_SHARE = 1 / 3
_SMALL_SHARE = 0.05
_CAUSES = frozenset({"unknown label", "annotation", "too many faults"})
"""Faults that leave sides or labels empty, which is then not told beside them."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures that can be used."""

    pictures: tuple[Picture, ...]
    """Of train and val, or of the split that was asked for, sorted by file."""
    remarks: tuple[Remark, ...]
    """What was found wrong and left out, or should be known."""
    data_hash: str
    """SHA-256 over (file, content, label, group) of all that was read, whatever the order of files."""

    @property
    def notes(self) -> tuple[str, ...]:
        """All remarks, one line each."""
        return tuple(remark.text for remark in self.remarks)

    def few_notes(self) -> list[str]:
        """Return about 20 lines that show every kind of remark."""
        return first_lines(self.remarks)

    def of(self, split: Split) -> list[Picture]:
        """Return the pictures of one split."""
        return [picture for picture in self.pictures if picture.split == split]


def read_labelled(  # noqa: PLR0913 - what is read, how it is said, and where progress and findings go
    folder: Path,
    labels: LabelSet,
    *,
    groups: GroupRule | None,
    split: Split | None = None,
    renames: Mapping[str, str] | None = None,
    needed: Collection[str] | None = None,
    seed: int = 0,
    work: Path | None = None,
    console: Console | None = None,
    only: str | None = None,
    reviewed: Sequence[Listed] = (),
) -> Labelled:
    """Read train and val, or one split. Raises ``DataError`` with every problem.

    ``renames`` maps the folder's labels to the station's, ``needed`` are the labels that must have pictures to learn from (default: all).
    With ``only`` every picture below the folder bears that label and is learnt from; near doubles are not told then: good parts look alike.
    ``reviewed`` pictures stand beside the folder's, with groups of their own (``list_reviewed``).
    In ``work`` the whole list of remarks (``pictures.txt``) and a cache of what the files hold are kept. ``console`` shows progress.
    """
    if not folder.is_dir():
        raise DataError(str(folder), ["is no folder; name the one that holds the labelled pictures"])
    remarks = Remarks()
    # Evaluation lists the other sides too: a part that was learnt from may not be tested with. Only test is opened.
    wanted: tuple[Split, ...] = ("train", "val", "test") if split == "test" else ("train", "val")
    if only is None:
        listed = sorted(list_pictures(folder, wanted, labels, renames or {}, remarks), key=lambda picture: picture.file)
        listed = with_station_labels(listed, labels.names, renames or {}, remarks)
        listed = among(_sided(grouped(listed, groups, remarks), remarks), reviewed)
    else:
        listed = grouped(list_loose_pictures(folder, only, remarks), groups, remarks)
    _refuse_torn_groups(listed, remarks)
    listed = [picture for picture in listed if (picture.split == "test") == (split == "test")]
    found = examine(listed, console, work / f"pictures-{_key(folder)}.npz" if work is not None else None)
    sound = _without_faulty(listed, found, remarks)
    examined = {picture.file: hold for picture in sound if isinstance(hold := found[picture.file], Examined)}
    sound = without_doubles(sound, examined, remarks)
    if only is None:
        sound = _with_sides(sound, examined, seed, remarks, may_join=isinstance(groups, NoGroups))
    if not any(remark.kind in _CAUSES for remark in remarks.refusals):
        check_counts(sound, labels.names if needed is None else needed, "train" if only else split, remarks)
    remarks.settle(folder, work / "pictures.txt" if work is not None else None)
    chosen = tuple(_picture(picture) for picture in sound if split in {None, picture.split})
    return Labelled(chosen, tuple(remarks.notes), data_hash(sound, examined))


def data_hash(listed: Iterable[Listed], examined: Mapping[str, Examined]) -> str:
    """Return a hash over file, content, label and group of all pictures, the same for any order of them."""
    rows = sorted((picture.file, examined[picture.file].sha256, picture.label, picture.group) for picture in listed)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _key(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


def _sided(listed: Sequence[Listed], remarks: Remarks) -> list[Listed]:
    """Return the pictures with or without sides: train/ alone is to be split, and beside sides a picture without one is passed over."""
    sides = Counter(picture.split for picture in listed)
    if sides["train"] and not sides["val"] and not sides[None]:
        remarks.note("sides", "there is no val/: about a fifth of the groups of train/ is kept to check with")
        return [replace(picture, split=None) if picture.split == "train" else picture for picture in listed]
    if sides[None] and (sides["train"] or sides["val"]):
        remarks.note("sides", f"{sides[None]} pictures lie neither below train/ nor below val/ and are passed over")
        return [picture for picture in listed if picture.split is not None]
    return list(listed)


def _refuse_torn_groups(listed: Sequence[Listed], remarks: Remarks) -> None:
    """Refuse each group that the source puts on two sides."""
    sides = defaultdict[str, dict[str, Listed]](dict)
    for picture in listed:
        sides[str(picture.group)].setdefault(picture.split or "train and val", picture)
    for group, first in sorted(sides.items()):
        if len(first) > 1:
            files = " and ".join(picture.file for picture in first.values())
            names = " and in ".join(first)
            remarks.refuse("torn group", f"group {group!r} stands in {names} ({files}); a part must stay on one side, move its pictures")


def _without_faulty(listed: Sequence[Listed], found: Mapping[str, Examined | str], remarks: Remarks) -> list[Listed]:
    """Return the pictures that can be used; the others are noted, or refused if they are more than a few."""
    faults = {picture.file: fault for picture in listed if (fault := _fault(picture, found[picture.file]))}
    tell = remarks.note
    if len(faults) > MAX_FAULTY_SHARE * len(listed):
        tell = remarks.refuse
        share = f"{len(faults)} of {len(listed)} pictures ({100 * len(faults) / len(listed):.0f} %)"
        tell("too many faults", f"{share} cannot be used; up to {100 * MAX_FAULTY_SHARE:.0f} % would be left out, so many need a look")
    for file, fault in faults.items():
        tell("cannot be used", f"{file}: {fault}; left out" if tell == remarks.note else f"{file}: {fault}")
    return [picture for picture in listed if picture.file not in faults]


def _fault(picture: Listed, found: Examined | str) -> str | None:
    if isinstance(found, str):
        return found
    size = picture.size_px
    if size is not None and size not in {(found.width_px, found.height_px), found.stored_px}:
        real = f"{found.width_px} x {found.height_px} pixels"
        return f"is {real}, the annotation says {size[0]} x {size[1]}: they do not belong together"
    return None


def _with_sides(listed: Sequence[Listed], examined: Mapping[str, Examined], seed: int, remarks: Remarks, *, may_join: bool) -> list[Listed]:
    """Return the pictures with groups and sides settled: near doubles joined or told, pictures without a side split by group."""
    pairs = list(near_doubles([picture.file for picture in listed], examined))
    if may_join:
        listed = _without_torn(_joined(listed, pairs, remarks), remarks)
    if any(picture.split is None for picture in listed):
        sides = split_groups(((str(picture.group), picture.label) for picture in listed), seed)
        listed = [replace(picture, split=sides[str(picture.group)]) for picture in listed]
        _note_small_val(listed, remarks)
    _note_near(pairs, {picture.file: picture.split for picture in listed}, remarks)
    return list(listed)


def _note_small_val(listed: Sequence[Listed], remarks: Remarks) -> None:
    count = sum(picture.split == "val" for picture in listed)
    if 0 < count < _SMALL_SHARE * len(listed):
        few = f"only {count} of {len(listed)} pictures are kept to check with, because few large groups hold most of the others"
        remarks.note("sides", f"{few}: take pictures of more parts, or say more finely which belong together")


def _note_near(pairs: Iterable[tuple[str, str]], side_of: Mapping[str, Split | None], remarks: Remarks) -> None:
    """Note each picture of val that nearly equals one of train, with the first of those."""
    told = set[str]()
    for pair in pairs:
        train, val = sorted(pair, key=lambda file: side_of.get(file) != "train")
        if val not in told and (side_of.get(train), side_of.get(val)) == ("train", "val"):
            told.add(val)
            remarks.note(
                "near double", f"{val}: nearly the same picture as {train}, which is learnt from; if both show one part, group them"
            )


def _joined(listed: Sequence[Listed], pairs: Sequence[tuple[str, str]], remarks: Remarks) -> list[Listed]:
    """Return the pictures, those that had no group and look alike in one group."""
    alone = {picture.file for picture in listed if picture.group == picture.file}
    first = joined([pair for pair in pairs if alone.issuperset(pair)])
    if first:
        groups = Counter(first.values())
        remarks.note("near doubles", f"{len(first)} pictures look like another one; they were joined into {len(groups)} groups")
        largest, count = groups.most_common(1)[0]
        if count > _ALIKE_SHARE * len(listed):
            alike = f"{count} of {len(listed)} pictures look like {largest} and count as one part"
            remarks.note("near doubles", f"{alike}: --no-groups is too rough here, say which pictures belong together")
    return [replace(picture, group=first.get(picture.file, picture.group)) for picture in listed]


def _without_torn(listed: Sequence[Listed], remarks: Remarks) -> list[Listed]:
    """Return the pictures without those of val that were joined with one of train."""
    learnt = {picture.group for picture in listed if picture.split == "train"}
    torn = {picture.file for picture in listed if picture.split == "val" and picture.group in learnt}
    for file in sorted(torn):
        remarks.note("near double", f"{file}: looks like a picture of train; left out of val")
    return [picture for picture in listed if picture.file not in torn]


def _picture(listed: Listed) -> Picture:
    return Picture(listed.path, listed.label, str(listed.split), str(listed.group), listed.taken_at, listed.entry, listed.lot)
