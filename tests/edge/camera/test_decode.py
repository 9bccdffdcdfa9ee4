"""Pictures of every format, depth and state, as files really are."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from inspector.core.frame import Image
from inspector.edge.camera import decode_image, read_image
from inspector.errors import CameraError
from tests.edge.camera.conftest import encoded, picture

SUFFIXES = [".jpg", ".png", ".bmp", ".tiff", ".webp"]


def saved(image: Any, kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """Return a picture as Pillow writes it."""
    file = io.BytesIO()
    Pillow.fromarray(image).convert(mode).save(file, kind, **options)
    return file.getvalue()


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_rgb_that_cannot_be_written(suffix: str) -> None:
    image = decode_image(encoded(picture(), suffix))
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert not image.flags.writeable
    assert difference(image, picture()) < 12


def test_channels_are_red_green_blue() -> None:
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 200
    assert decode_image(saved(red, "PNG"))[20, 20].tolist() == [200, 0, 0]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_to_8(suffix: str, channels: int) -> None:
    image = picture() if channels == 3 else picture()[..., 0]
    decoded = decode_image(encoded(image.astype(np.uint16) * 257, suffix))
    assert difference(decoded, image if channels == 3 else np.repeat(image[..., None], 3, 2)) <= 1


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "L"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("WEBP", "RGBA"),
        ("TIFF", "RGBA"),
        ("PNG", "P"),
        ("BMP", "P"),
        ("PNG", "1"),
    ],
)
def test_grey_transparent_and_palette_pictures_become_rgb(kind: str, mode: str) -> None:
    decoded = decode_image(saved(picture(), kind, mode))
    expected = np.asarray(Pillow.fromarray(picture()).convert(mode).convert("RGB"))
    assert difference(decoded, expected) < 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted(kind: str) -> None:
    assert difference(decode_image(saved(picture(), kind, "CMYK")), picture()) < 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    decoded = decode_image(saved(picture(), kind, exif=exif))
    assert decoded.shape == (64, 48, 3)
    assert difference(decoded, np.rot90(picture(), -1)) < 12


def test_a_progressive_jpeg_with_a_thumbnail_and_a_trailer_is_a_picture() -> None:
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x927C] = saved(picture(16, 16), "JPEG")  # a whole JPEG, end marker included, within the metadata
    data = saved(picture(), "JPEG", progressive=True, exif=exif)
    assert decode_image(data + b"maker's trailer").shape == (48, 64, 3)
    with pytest.raises(CameraError, match="truncated"):
        decode_image(data[:-60])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_file_is_an_error(suffix: str, share: float) -> None:
    data = encoded(picture(200, 150), suffix)
    with pytest.raises(CameraError, match=r"truncated|empty"):
        decode_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("grey", [False, True])
def test_a_jpeg_cut_short_and_then_closed_is_damaged(grey: bool) -> None:
    image = picture(320, 240)
    data = encoded(image[..., 0] if grey else image, ".jpg")
    with pytest.raises(CameraError, match="end early"):
        decode_image(data[: len(data) // 2] + b"\xff\xd9")


def test_a_jpeg_that_is_grey_all_over_is_no_damage() -> None:
    assert decode_image(encoded(np.full((64, 64, 3), 128, np.uint8), ".jpg")).shape == (64, 64, 3)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_compressed_tiff_with_a_broken_strip_is_damaged(compression: str) -> None:
    data = bytearray(saved(picture(300, 200), "TIFF", compression=compression))
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(byte * 7 + 13 & 255 for byte in data[middle : middle + 300])
    with pytest.raises(CameraError, match=r"damaged|cannot be"):
        decode_image(bytes(data))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_a_compressed_tiff_is_a_picture(compression: str) -> None:
    assert difference(decode_image(saved(picture(), "TIFF", compression=compression)), picture()) < 12


def test_a_png_with_a_wrong_checksum_is_an_error() -> None:
    data = bytearray(encoded(picture(), ".png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(CameraError, match="PNG cannot be decoded"):
        decode_image(bytes(data))


@pytest.mark.parametrize("data", [b"hello, this is a text", b"GIF89a" + bytes(40), b"%PDF-1.7", b"RIFF\x10\0\0\0WAVEfmt ", bytes(100)])
def test_what_is_no_picture_is_named_so(data: bytes) -> None:
    with pytest.raises(CameraError, match="not a picture: it begins with"):
        decode_image(data)


def test_an_empty_file_is_named_so() -> None:
    with pytest.raises(CameraError, match="empty"):
        decode_image(b"")


def test_one_pixel_is_a_picture() -> None:
    assert decode_image(encoded(np.full((1, 1, 3), 90, np.uint8), ".png")).tolist() == [[[90, 90, 90]]]


def test_50_megapixels_are_a_picture() -> None:
    image = decode_image(encoded(np.full((6000, 8400, 3), 90, np.uint8), ".jpg"))
    assert image.shape == (6000, 8400, 3)


def test_a_bomb_is_refused_by_its_declared_size_alone() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(CameraError, match=r"declares 60000 x 60000 pixels, more than the 120000000 allowed"):
        decode_image(bomb)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_declared_size_of_every_format_is_limited(suffix: str) -> None:
    data = encoded(picture(64, 48), suffix)
    assert decode_image(data, max_pixels=64 * 48).shape == (48, 64, 3)
    with pytest.raises(CameraError, match="declares 64 x 48 pixels"):
        decode_image(data, max_pixels=64 * 48 - 1)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0MM\0*\0\0\0\x08\0\0"])
def test_every_kind_of_webp_is_measured(lossless: bool, exif: bytes) -> None:
    with pytest.raises(CameraError, match="declares 64 x 48 pixels"):
        decode_image(saved(picture(), "WEBP", lossless=lossless, exif=exif), max_pixels=10)


def test_a_picture_without_pixels_is_an_error() -> None:
    data = bytearray(encoded(picture(), ".bmp"))
    data[18:22] = bytes(4)
    with pytest.raises(CameraError, match="declares 0 x 48 pixels"):
        decode_image(bytes(data))


def test_no_bytes_at_all_make_it_fail_otherwise() -> None:
    random = np.random.default_rng(5)
    for suffix in SUFFIXES:
        good = encoded(picture(24, 24), suffix)
        for _ in range(150):
            data = bytearray(good[: random.integers(1, len(good) + 1)])
            for at in random.integers(0, len(data), 3):
                data[at] = random.integers(0, 256)
            try:
                image = decode_image(bytes(data), max_pixels=1_000_000)
            except CameraError:
                continue
            assert image.ndim == 3


def test_read_image_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "note.png"
    path.write_text("a text file named .png")
    with pytest.raises(CameraError, match=r"note\.png: not a picture: it begins with b'a text f'"):
        read_image(path)
    with pytest.raises(CameraError, match=r"gone\.png: cannot be read: No such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(CameraError, match="not a file"):
        read_image(tmp_path)


def test_read_image_does_not_read_a_file_that_is_too_long_to_be_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "disk.png"
    with path.open("wb") as file:
        file.truncate(20_000_000_000)
    with pytest.raises(CameraError, match="more than any picture"):
        read_image(path)
