"""Groups: which pictures show the same part, plate or board, so that learning and checking never see the same one.

A rule is one of four: a table, a pattern in the file's name, a folder level, or the plain word that each picture shows a part of its own.
Groups that the source itself gives need no rule.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from inspector.training.groups_table import grouped_by_table
from inspector.training.listing import Listed
from inspector.training.remarks import Remarks

WHY = r"""which pictures show the same part? Nobody has said so. If pictures of one part (plate, board, casting) are among those
    that the model learns from and among those that it is checked with, it recognises the part instead of the defect: the number looks
    splendid and is worth nothing on the line. Say it in one of three ways:
      --groups-csv groups.csv         a table with the columns file,group
      --group-pattern '(\d+)_.*'      the part's number is in the file's name: 0815_left.jpg, 0815_right.jpg
      --group-level 1                 one folder a part below the label: ok/part-0815/left.jpg
    or --no-groups if every picture shows a part of its own. docs/data.md explains it with examples"""


@dataclass(frozen=True, slots=True)
class ByTable:
    """A CSV file says it."""

    path: Path
    """File with the columns file and group."""


@dataclass(frozen=True, slots=True)
class ByPattern:
    """The file's name says it."""

    pattern: re.Pattern[str]
    """Matched at the beginning of the file's name; its first bracket holds the group."""


@dataclass(frozen=True, slots=True)
class ByLevel:
    """A folder's name says it."""

    level: int
    """1 for the folder below the label's (or below the split's in COCO), 2 for the next."""


@dataclass(frozen=True, slots=True)
class NoGroups:
    """Each picture shows a part of its own; pictures that are nearly the same still count as one."""


GroupRule: TypeAlias = ByTable | ByPattern | ByLevel | NoGroups


def grouped(listed: Sequence[Listed], rule: GroupRule | None, remarks: Remarks) -> list[Listed]:
    """Return the pictures, each with a group; where the rule fails a refusal is added and the picture stands alone.

    A rule goes before the source's own groups, except ``NoGroups``, which only fills gaps: what is known is not thrown away.
    """
    if isinstance(rule, ByTable):
        result = grouped_by_table(listed, rule.path, remarks)
    elif isinstance(rule, ByPattern):
        result = [_by_pattern(picture, rule.pattern, remarks) for picture in listed]
    elif isinstance(rule, ByLevel):
        result = [_by_level(picture, rule.level, remarks) for picture in listed]
    else:
        result = list(listed)
        known = sum(picture.group is not None for picture in listed)
        if rule is None and known < len(listed):
            remarks.refuse("groups", WHY if not known else f"{len(listed) - known} of {len(listed)} pictures have no group; {WHY}")
        elif rule is not None and known:
            remarks.note("groups", f"--no-groups changes nothing for {known} pictures whose group the annotations give")
    return [picture if picture.group is not None else replace(picture, group=picture.file) for picture in result]


def _by_pattern(picture: Listed, pattern: re.Pattern[str], remarks: Remarks) -> Listed:
    name = PurePosixPath(picture.file).name
    match = pattern.match(name)
    if match is None or not match.group(1):
        remarks.refuse("name without a group", f"{picture.file}: the name does not match --group-pattern '{pattern.pattern}'")
        return picture
    return replace(picture, group=match.group(1))


def _by_level(picture: Listed, level: int, remarks: Remarks) -> Listed:
    if len(picture.folders) < level:
        has = f"only {len(picture.folders)}" if picture.folders else "no"
        remarks.refuse("too few folders", f"{picture.file}: --group-level {level} needs {level} folders below the label, there is {has}")
        return picture
    return replace(picture, group=picture.folders[level - 1])
