"""The generated parts of the documentation: a table of every setting from the sections, and every verb's help from click."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from inspector.cli.init_template import TEMPLATES
from inspector.settings import CameraTable, DecisionTable, NormalityTable, ReferenceTable, StationSettings

_HIDDEN = {"name", "folder"}
"""Fields of StationSettings that come from the folder and not from the file."""

_WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", NoneType: "nothing"}


def settings_reference() -> str:
    """Return the tables of all keys of station.toml and of the measured files beside it, as Markdown."""
    lines = ["### station.toml", ""]
    for key, field in StationSettings.model_fields.items():
        if key not in _HIDDEN:
            section, is_named = _section(field.annotation)
            lines += [f"#### [{key}.NAME]" if is_named else f"#### [{key}]", "", str(field.description), "", *_table(section), ""]
    measured = (
        ("decision.toml: [PRODUCT]", DecisionTable),
        ("normality.toml: [PRODUCT]", NormalityTable),
        ("camera.toml: [CAMERA]", CameraTable),
        ("camera.toml: [CAMERA.reference]", ReferenceTable),
    )
    for title, section in measured:
        lines += [f"### {title}", "", (section.__doc__ or "").strip(), "", *_table(section), ""]
    lines += [f"Templates for `inspector init`: {', '.join(f'`{name}`' for name in TEMPLATES)}."]
    return "\n".join(lines)


def cli_reference(main: click.Group) -> str:
    """Return the help of every verb, as Markdown."""
    context = click.Context(main, info_name="inspector", terminal_width=100, **main.context_settings)
    blocks = []
    for path, page in _pages(main, context):
        blocks.append(f"### {path}\n\n```\n{page.rstrip()}\n```\n")
    return "\n".join(blocks).rstrip()


def replaced(text: str, marker: str, body: str) -> str:
    """Return a page with what stands between its two markers replaced. Raises ``ValueError`` if it has no such markers."""
    begin, end = f"<!-- begin {marker}: written by `inspector docs` -->", f"<!-- end {marker} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"needs the lines {begin} and {end}, once each")
    return f"{text[: text.index(begin)]}{begin}\n\n{body}\n\n{text[text.index(end) :]}"


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield (command line, help) of a command and of all below it."""
    with context.scope(cleanup=False):
        yield context.command_path, _plain(command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                below = click.Context(child, info_name=name, parent=context, terminal_width=100)
                yield from _pages(child, below)


def _plain(page: str) -> str:
    return re.sub(r"[ \t]+$", "", click.unstyle(page), flags=re.MULTILINE)


def _table(section: type[BaseModel]) -> list[str]:
    rows = [
        f"| `{key}` | {_kind(field)} | {_default(field)} | {_cell(field.description or '')} |"
        for key, field in section.model_fields.items()
    ]
    return ["| key | type | default | meaning |", "|---|---|---|---|", *rows]


def _section(annotation: Any) -> tuple[type[BaseModel], bool]:  # noqa: ANN401  # an annotation is whatever was written there
    """Return the section class of a top-level field and whether it is a table of named tables."""
    is_named = get_origin(annotation) is dict
    section = get_args(annotation)[1] if is_named else annotation
    return section, is_named


def _kind(field: FieldInfo) -> str:
    """Return a field's type and limits in words."""
    words = _words(field.annotation)
    limits = [
        f"{sign} {value:g}"
        for part in field.metadata
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if (value := getattr(part, name, None)) is not None
    ]
    return _cell(", ".join([words, " and ".join(limits)]) if limits else words)


def _words(annotation: Any) -> str:  # noqa: ANN401  # as above
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(parts[0])
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in parts)
    if origin in {Union, UnionType}:
        return " or ".join(_words(part) for part in parts if part is not NoneType)
    if origin is tuple:
        inner = parts[0]
        return f"list of {'' if parts[-1] is Ellipsis else f'{len(parts)} '}{_many(_words(inner))}"
    if origin is dict:
        return "table"
    return _WORDS.get(annotation, "table")


def _many(words: str) -> str:
    return words if words in {"text", "table"} or words.startswith("list") else f"{words}s"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    if default in (None, (), {}, ""):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(_literal(value) for value in default)}]`"
    return f"`{_literal(default)}`"


def _literal(value: Any) -> str:  # noqa: ANN401  # a default is of any type
    return f'"{value}"' if isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    """Return a text for a table's cell, where a bar would end it and <word> would be an HTML tag."""
    return re.sub(r"<(?=[a-z])", r"\\<", " ".join(text.replace("|", "\\|").split()))
