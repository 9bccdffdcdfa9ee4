"""What a picture file says of itself before anything is decoded: its format, its size and whether its end is there.

Read from the first bytes and the closing marker alone, so that a small file that declares a billion pixels is refused unopened.
Sources: ITU-T T.81 (JPEG), RFC 2083 (PNG), TIFF 6.0, RFC 9649 (WebP), Windows bitmap headers.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from inspector.errors import CameraError

_KNOWN = "JPEG, PNG, BMP, TIFF or WebP"
_NO_SIZE_MARKERS = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers between 0xC0 and 0xCF that do not open a frame."""


@dataclass(frozen=True, slots=True)
class Header:
    """A picture file's own words."""

    format: str
    """JPEG, PNG, BMP, TIFF or WebP."""
    width_px: int
    """Declared width, before any rotation."""
    height_px: int
    """Declared height, before any rotation."""
    truncated: bool = False
    """True if the format has a closing marker or a length and the data ends before it."""
    packed: bool = False
    """True for a TIFF whose pixels are compressed."""


def read_header(data: bytes) -> Header:
    """Read the header of an encoded picture. Raises ``CameraError`` if it is empty, no picture, or ends within its header."""
    if not data:
        raise CameraError("the file is empty (0 bytes); write it again")
    for magic, name, parse in _FORMATS:
        if data.startswith(magic) and (name != "WebP" or data[8:12] == b"WEBP"):
            try:
                return parse(data)
            except struct.error:
                raise CameraError(f"truncated: the {name} ends within its header, after {len(data)} bytes; write it again") from None
    raise CameraError(f"not a picture: it begins with {data[:8]!r}, expected {_KNOWN}; convert it or remove it")


def _jpeg(data: bytes) -> Header:
    """Walk the segments up to the first scan, then look for the end marker behind it; thumbnails lie in segments and are passed over."""
    at, width, height = 2, 0, 0
    while True:
        lead, marker = struct.unpack_from(">BB", data, at)
        if lead != 0xFF:
            raise CameraError(f"damaged: the JPEG holds no marker at byte {at}; write it again")
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
        if marker in {0xDA, 0xD9}:
            return Header("JPEG", width, height, truncated=data.find(b"\xff\xd9", at) < 0)
        at += 2 + length


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    return Header("PNG", width, height, truncated=data.rfind(b"IEND") < 0)


def _bmp(data: bytes) -> Header:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_bytes == 12 else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height))  # a negative height means that the first row is the top one


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(struct.unpack_from("3s", data, at)[0], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header("WebP", width, height, truncated=length + 8 > len(data))


def _tiff(data: bytes) -> Header:
    """Read width (tag 256), height (257) and compression (259) from the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    if at >= len(data):
        return Header("TIFF", 0, 0, truncated=True)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found = {256: 0, 257: 0, 259: 1}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in found:
            (found[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    return Header("TIFF", found[256], found[257], packed=found[259] != 1)


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes], Header]], ...] = (
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"RIFF", "WebP", _webp),
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
    (b"BM", "BMP", _bmp),
)
