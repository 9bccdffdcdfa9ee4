"""A form that carries a recording: ``multipart/form-data`` (RFC 7578) to its fields and its one file, in memory, within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datasette.utils.asgi import Request
from python_multipart import create_form_parser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

LARGEST_BYTES = 6_000_000
"""Longest form: a minute of one channel, 16 bits at 48 kHz, is 5.8 MB."""
_FIELD_BYTES = 2000
_FIELDS = 20


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form brought."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """Its fields."""
    sound: bytes | None = None
    """The file of the field ``sound``; None if none was chosen."""


async def read_upload(request: Request) -> Upload:
    """Read a form, with a file or without. Raises ``ValueError`` if it is none or holds more than a question needs."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        return Upload(await request.post_vars())
    if not kind.startswith("multipart/form-data"):
        raise ValueError("a form is expected")
    return _parsed(kind, await request.post_body())


def _parsed(kind: str, body: bytes) -> Upload:
    """Return what a multipart body holds."""
    fields: dict[str, str] = {}
    sounds: list[bytes] = []

    def on_field(found: Field) -> None:
        fields[_text(found.field_name)] = _text(found.value)

    def on_file(found: File) -> None:
        if found.field_name != b"sound" or sounds:
            raise ValueError("one recording is expected, in the field sound")
        found.file_object.seek(0)
        sounds.append(found.file_object.read())

    # In memory alone: no recording is left on the disk.
    bounds = {"MAX_MEMORY_FILE_SIZE": LARGEST_BYTES + 1, "MAX_FIELDS": _FIELDS, "MAX_FIELD_SIZE": _FIELD_BYTES}
    try:
        parser = create_form_parser({"Content-Type": kind.encode("latin-1")}, on_field, on_file, bounds)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise ValueError(f"the form cannot be read: {error}") from error
    return Upload(fields, next((sound for sound in sounds if sound), None))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
