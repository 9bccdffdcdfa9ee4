"""Who may log in to the dashboard, and what each may do: a TOML file of password hashes, or the systemd credential ``dashboard-users``."""

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import tomlkit

from inspector.errors import DashboardError

Right: TypeAlias = Literal["review", "sql", "command"]
"""``review``: settle what the model is in doubt about. ``sql``: ask the log questions of one's own. ``command``: send a station orders."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HASH = re.compile(r"pbkdf2_sha256\$\d{5,8}\$[^$\s]+\$[A-Za-z0-9+/=]+")
LEAST_LETTERS = 10
"""Shortest password."""


@dataclass(frozen=True, slots=True)
class Users:
    """Everybody who may log in."""

    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Hash of each one's password, by name."""
    rights: Mapping[str, tuple[Right, ...]] = field(default_factory=dict)
    """What each may do beside looking."""

    @property
    def secret(self) -> str:
        """What logins are signed with. It follows from the salts and hashes, so a changed password or a removed user ends every login."""
        return hashlib.sha256(repr(("inspector dashboard", sorted(self.hashes.items()), sorted(self.rights.items()))).encode()).hexdigest()

    def with_right(self, right: Right) -> list[str]:
        """Return the names of those who have a right."""
        return [name for name, rights in self.rights.items() if right in rights]


def users_file(named: Path | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file that holds the users: the one that was named, else the systemd credential, else None."""
    folder = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / "dashboard-users" if folder else None
    return named or (credential if credential is not None and credential.exists() else None)


def read_users(path: Path) -> Users:
    """Read the users. Raises ``DashboardError`` with every mistake."""
    table = _table(path)
    mistakes = [f"{key}: expected [users.NAME] tables alone" for key in table if key != "users"]
    named = table.get("users", {})
    found = named if isinstance(named, dict) else {}
    for name, entry in found.items():
        mistakes += _mistakes(name, entry)
    if not found:
        mistakes.append("users: there is none; add one with: inspector dashboard --users FILE --set-password NAME")
    if mistakes:
        raise DashboardError(f"{path}: " + "; ".join(mistakes))
    return Users(
        {name: str(entry["password"]) for name, entry in found.items()},
        {name: tuple(entry.get("may", ())) for name, entry in found.items()},
    )


def set_password(path: Path, name: str, password: str, rights: Sequence[Right]) -> None:
    """Write a user's password hash and rights; the others stay. Raises ``DashboardError``."""
    from datasette_auth_passwords.utils import hash_password  # noqa: PLC0415 - the extra is asked for where it is needed

    if not _NAME.fullmatch(name):
        raise DashboardError(f"{name!r}: a user's name has letters, digits, dots, dashes and underscores")
    if len(password) < LEAST_LETTERS:
        raise DashboardError(f"the password has {len(password)} letters; at least {LEAST_LETTERS} are needed")
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    users = document.setdefault("users", tomlkit.table(is_super_table=True))
    users[name] = {"password": hash_password(password), "may": list(rights)}
    part = path.with_name(path.name + ".new")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(document))
        part.replace(path)
    except OSError as error:
        raise DashboardError(f"{path}: cannot be written: {error.strerror}") from error


def _table(path: Path) -> dict[str, Any]:
    """Return the file's table; a file that others may read is refused."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise DashboardError(f"{path}: cannot be read ({error.strerror}); it holds the dashboard's users") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DashboardError(f"{path}: is no TOML: {error}") from error
    if mode & 0o007:
        raise DashboardError(f"{path}: mode {mode:04o} lets every user of this machine read password hashes: chmod 640 {path}")
    return table


def _mistakes(name: str, entry: object) -> list[str]:
    if not _NAME.fullmatch(name):
        return [f"users.{name}: a name has letters, digits, dots, dashes and underscores"]
    if not isinstance(entry, dict) or not isinstance(entry.get("password"), str):
        return [f"users.{name}: expected password = ... and may = [...]"]
    found = [f"users.{name}.{key}: not a key here; there are password and may" for key in entry if key not in {"password", "may"}]
    if not _HASH.fullmatch(entry["password"]):
        found.append(f"users.{name}.password: is no hash; write it with --set-password {name}")
    may = entry.get("may", [])
    if not isinstance(may, list) or any(right not in get_args(Right) for right in may):
        found.append(f"users.{name}.may: expected a list of {', '.join(get_args(Right))}")
    return found
