"""Sparkplug B 3.0 payloads on the wire: the part of its protobuf schema that a publishing edge node needs, written by hand.

Schema: eclipse-sparkplug ``sparkplug_b.proto``. ``encode`` writes a payload, ``asks_rebirth`` reads the one command that a node must obey.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Value: TypeAlias = bool | int | float | str | None

_INT64, _UINT64, _DOUBLE, _BOOLEAN, _STRING = 4, 8, 10, 11, 12
"""Data types of the standard."""
REBIRTH = "Node Control/Rebirth"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""


def encode(metrics: Mapping[str, tuple[type, Value]], instant_ms: int, seq: int | None = None) -> bytes:
    """Return a payload with metrics {name: (type of the value, value or None)}, all of one instant; a death has no ``seq``.

    ``instant_ms`` is counted from the Unix epoch.
    """
    parts = [_varint_field(1, instant_ms)]
    parts += [_bytes_field(2, _metric(name, kind, value, instant_ms)) for name, (kind, value) in metrics.items()]
    if seq is not None:
        parts.append(_varint_field(3, seq))
    return b"".join(parts)


def asks_rebirth(payload: bytes) -> bool:
    """Return whether a command to the node holds ``Node Control/Rebirth`` = true; False for whatever cannot be read."""
    try:
        return any(_is_rebirth(value) for number, value in _fields(payload) if number == 2 and isinstance(value, bytes))
    except ValueError:
        return False


def _metric(name: str, kind: type, value: Value, instant_ms: int) -> bytes:
    """Return one metric."""
    data_type = {bool: _BOOLEAN, int: _INT64, float: _DOUBLE, str: _STRING}[kind]
    if name == "bdSeq":
        data_type = _UINT64
    head = _bytes_field(1, name.encode()) + _varint_field(3, instant_ms) + _varint_field(4, data_type)
    match value:
        case None:
            return head + _varint_field(7, 1)
        case bool():
            return head + _varint_field(14, int(value))
        case int():
            return head + _varint_field(11, value & (2**64 - 1))  # signed numbers go as their two's complement
        case float():
            return head + _varint(13 << 3 | _FIXED64) + struct.pack("<d", value)
    return head + _bytes_field(15, str(value).encode())


def _varint(number: int) -> bytes:
    """Return a whole number, 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _is_rebirth(metric: bytes) -> bool:
    found = dict(_fields(metric))
    return found.get(1) == REBIRTH.encode() and found.get(14) == 1


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a protobuf message. Raises ``ValueError`` where it is none."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if wire == _BYTES:
            size, at = _read_varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError(f"no protobuf at byte {at}")
        yield key >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a whole number and where the next thing begins."""
    number = shift = 0
    while at < len(message) and shift < 64:
        number |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return number, at
        shift += 7
    raise ValueError(f"a number without end at byte {at}")
