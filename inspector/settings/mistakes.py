"""Mistakes in words: what pydantic finds in a table, as sentences that name the key, what was expected and what was found."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

WHOLE = "the file"
"""Place of a mistake that concerns the whole table."""

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number, not nan or inf",
    "bool": "true or false, without quotes",
    "string": "text in quotes",
    "path": "a path in quotes",
    "tuple": "a list in square brackets",
    "list": "a list in square brackets",
    "dict": "a table",
    "model": "a table",
    "datetime": "an instant such as 2026-11-23T14:00:00Z, without quotes",
}
"""First word of pydantic's error type to what a person would write."""

_LIMITS = {
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "string_too_long": "must have {max_length} letters at most",
    "string_too_short": "must have {min_length} letters at least",
    "string_pattern_mismatch": "a name takes letters, digits and _ . - and begins with a letter or digit",
}
"""Error type to sentence, to be filled from pydantic's context."""

_SIZES = {
    "too_long": "must have {max_length} values, has {actual_length}",
    "too_short": "at least {min_length} needed, such as [{place}.NAME]",
}
"""The same for lists and tables, which are not shown."""

_UNION_ARMS = {"int", "str", "float", "bool"}
"""Pydantic appends the arm of a union to a location; a reader of the file knows no arms."""


def sentences(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line for each mistake that pydantic found while it read a table as ``model``, in the table's order."""
    return list(dict.fromkeys(line for item in error.errors(include_url=False) for line in _lines(item, model)))


def near(word: str, known: list[str]) -> str:
    """Return ``did you mean ...?`` or, where nothing is near, the list of what is known."""
    found = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else f"known here: {', '.join(known)}"


def shown(value: object) -> str:
    """Return a value as it stands in TOML, cut to a readable length."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lines(item: ErrorDetails, model: type[BaseModel]) -> Iterator[str]:
    loc, kind = item["loc"], item["type"]
    where = place(loc, model)
    if kind == "extra_forbidden":
        what = "table" if isinstance(item["input"], Mapping) else "key"
        yield f"{where}: unknown {what}; {near(str(loc[-1]), sorted(section_at(loc[:-1], model).model_fields))}"
    elif kind == "missing" and isinstance(loc[-1], int):
        yield f"{place(loc[:-1], model)}: value number {loc[-1] + 1} is missing (found {shown(item['input'])})"
    elif kind == "missing":
        yield f"{where}: required, but missing"
    elif kind == "value_error":
        # A validator that speaks of several places begins each line with the key it means.
        key, parent = str(loc[-1]) if loc else "", f"{place(loc[:-1], model)}." if len(loc) > 1 else ""
        for line in item["msg"].removeprefix("Value error, ").splitlines():
            own = not loc or re.match(rf"{re.escape(key)}(\[\d+\])?: ", line)
            yield f"{parent}{line}" if own else f"{where}: {line}"
    else:
        yield f"{where}: {_expectation(item, model)}"


def _expectation(item: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what was expected at a place and what was found there."""
    loc, kind, context, found = item["loc"], item["type"], item.get("ctx", {}), f"(found {shown(item['input'])})"
    family = kind.partition("_")[0]
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"must be one of {', '.join(choices)} {found}; {near(str(item['input']), choices)}".partition("; known here")[0]
    if family == "model" and len(loc) > 1 and str(loc[-1]) in _named_fields(loc[:-1], model):
        return f"must stand in a table with a name: [{place(loc[:-1], model)}.NAME]"
    if kind in _SIZES:
        return _SIZES[kind].format(**context, place=place(loc, model))
    if family in _EXPECTED and kind not in _LIMITS:
        is_union = bool(loc) and loc[-1] in _UNION_ARMS and _is_union(loc[:-1], model)
        return f"must be {'a whole number or text in quotes' if is_union else _EXPECTED[family]} {found}"
    return f"{_LIMITS.get(kind, item['msg']).format(**{key: _number(value) for key, value in context.items()})} {found}"


def place(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return a location as it is written in the file: ``cameras.line.rate_hz``, ``regions.rim.box_px[2]``."""
    text = ""
    for position, part in enumerate(loc):
        if part == "[key]" or (position == len(loc) - 1 and position and part in _UNION_ARMS and _is_union(loc[:position], model)):
            continue
        key = str(part) if re.fullmatch(r"[A-Za-z0-9_-]+", str(part)) else f'"{part}"'
        text += f"[{part}]" if isinstance(part, int) else f".{key}" if text else key
    return text or WHOLE


def section_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    """Return the section class that a location inside ``model`` belongs to."""
    section = model
    for part in loc:
        field = section.model_fields.get(str(part))
        section = section if field is None else _section_in(field.annotation) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  # an annotation is whatever was written there
    """Return the section class within an annotation such as ``dict[Name, CameraSection]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


def _named_fields(loc: tuple[int | str, ...], model: type[BaseModel]) -> set[str]:
    """Return the keys of the section that stands below a name, where ``loc`` is a table of named tables."""
    field = model.model_fields.get(str(loc[-1])) if loc else None
    section = _section_in(field.annotation) if field else None
    return set(section.model_fields) if section else set()


def _is_union(loc: tuple[int | str, ...], model: type[BaseModel]) -> bool:
    """Return True where a location is a field that takes several types."""
    field = section_at(loc[:-1], model).model_fields.get(str(loc[-1]))
    return field is not None and bool({int, str} & set(get_args(field.annotation)))


def _number(value: Any) -> str:  # noqa: ANN401  # pydantic types limits so
    return f"{value:g}" if isinstance(value, float) else str(value)
