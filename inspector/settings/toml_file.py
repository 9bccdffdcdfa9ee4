"""Reading a TOML file: one table, or one sentence that names the line and what is wrong there."""

import re
import tomllib
from pathlib import Path
from typing import Any


class UnreadableError(Exception):
    """A file that is no TOML; the message is a sentence without the file's name. Readers turn it into their own error."""


def read_table(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file. Raises ``FileNotFoundError`` if there is none and ``UnreadableError`` if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UnreadableError(f"line {line}: not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UnreadableError("tables or lists are nested too deep") from error
    except ValueError as error:
        raise UnreadableError(_said(str(error), text)) from error


def _said(complaint: str, text: str) -> str:
    """Turn tomllib's complaint into a sentence that shows the line."""
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", complaint)
    cause = complaint[: found.start()] if found else complaint
    declared = re.match(r"Cannot declare \((.*)\) twice", cause)
    if declared:
        table = ".".join(re.findall(r"['\"](.*?)['\"]", declared[1]))
        cause = f"the table [{table}] stands twice in the file; put its keys together"
    elif cause == "Cannot overwrite a value":
        cause = "this key or table is given twice; remove one of the two"
    elif cause.startswith("Invalid value"):
        cause = 'no valid value; text stands in quotes, as in key = "text"'
    lines = text.splitlines()
    if not found:
        return f"is no valid TOML: {cause}"
    number = int(found[1] or len(lines))
    shown = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f"line {number}: {cause} (the line reads: {shown[:80]})" if shown else f"line {number}: {cause}"
