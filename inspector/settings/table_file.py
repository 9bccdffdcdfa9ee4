"""Replacing one named table of a TOML file: whole or not at all, the other tables kept letter for letter.

The file is replaced in one step (new file, fsync, rename), so that a daemon that reads it sees the old text or the new one.
"""

import itertools
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"""^[ \t]*\[[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*\]""")


def with_table(text: str, own: str, table: str) -> str:
    """Return a file's text with the table of that name replaced, or added at the end."""
    lines, kept, is_own, is_placed = text.splitlines(keepends=True), list[str](), False, False
    for number, line in enumerate(lines):
        if header := _HEADER.match(line):
            is_own = _name(header[1]) == own
            if is_own and not is_placed:
                kept.append(table)
                is_placed = True
        elif is_own and _belongs_to_next(lines[number:]):
            is_own = False
        if not is_own:
            kept.append(line)
    whole = "".join(kept)
    if is_placed:
        return whole
    return f"{whole.rstrip()}\n\n{table}" if whole.strip() else table


def table_of(name: str, fields: Iterable[tuple[str, object]], story: Sequence[str]) -> str:
    """Return a table as TOML, its story as comments below the header and ``calibrated_at`` last."""
    keys = [line for key, value in sorted(fields, key=lambda item: item[0] == "calibrated_at") for line in _lines(key, value)]
    return f"[{bare_or_quoted(name)}]\n" + "".join(f"# {line}\n" for line in story) + "".join(keys) + "\n"


def story_of(text: str, own: str) -> list[str]:
    """Return the comment below the header of the table of that name, without its marks."""
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if (header := _HEADER.match(line)) and _name(header[1]) == own), len(lines))
    return [line[1:].strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines[at + 1 :])]


def parsed(text: str) -> Mapping[str, object]:
    """Return the tables of a text. Raises ``ValueError`` if it is no TOML."""
    return tomllib.loads(text)


def text_of(path: Path) -> str:
    """Return a file's text, empty if there is no such file."""
    return path.read_text(encoding="utf-8-sig") if path.is_file() else ""


def bare_or_quoted(name: str) -> str:
    """Return a name as a TOML key."""
    return name if _BARE.fullmatch(name) else f'"{name}"'


def replace_text(path: Path, text: str) -> None:
    """Put a text in a file's place, with the file's mode and owner; what is on disk is the old text or the new one. Raises ``OSError``."""
    old = path.stat() if path.exists() else None
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, 0o644 if old is None else old.st_mode & 0o777)
            if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):  # root keeps the file readable for the daemon; others may not give files away
                    os.fchown(handle, old.st_uid, old.st_gid)
            os.fsync(handle)
        fresh.replace(path)
        sync_to_disk(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def sync_to_disk(path: Path) -> None:
    """Bring a file, or a folder's entries, to the disk: then a rename outlives a power cut. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _belongs_to_next(rest: Sequence[str]) -> bool:
    """Tell whether a comment after an empty line introduces the next table."""
    if not rest[0].lstrip().startswith("#"):
        return False
    follows = next((line for line in rest if not line.lstrip().startswith("#")), "")
    return bool(_HEADER.match(follows))


def _name(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


def _lines(key: str, value: object) -> list[str]:
    """Return a key as a line; a table in it as a line for each of its keys, ``key.part``."""
    if isinstance(value, Mapping):
        return [line for part, inner in value.items() for line in _lines(f"{key}.{part}", inner)]
    return [f"{key} = {_value(value)}\n"]


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)
