"""Pixel formats: each comes out as the colour that was in view."""

import numpy as np
import pytest
from viva_genicam import Frame

from inspector.edge.camera.genicam.pixels import readable, to_rgb
from inspector.errors import CameraError

HEIGHT, WIDTH = 8, 16
RED_AT = {"RG": (0, 0), "GR": (0, 1), "GB": (1, 0), "BG": (1, 1)}


def grey(name: str, value: int, bits: int) -> Frame:
    """Return a grey frame in a 16-bit or packed format; ``value`` is at the camera's depth."""
    pixels = np.full(HEIGHT * WIDTH, value, np.uint32)
    if name.endswith("p"):
        joined = "".join(format(pixel, f"0{bits}b")[::-1] for pixel in pixels)  # least significant bit first
        data = bytes(int(joined[at : at + 8][::-1], 2) for at in range(0, len(joined), 8))
    elif name.endswith("12Packed"):
        data = bytes(part for _ in range(0, len(pixels), 2) for part in (value >> 4, value & 0xF | (value & 0xF) << 4, value >> 4))
    else:
        data = pixels.astype("<u2").tobytes()
    return Frame.from_bytes(data, WIDTH, HEIGHT, name)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("Mono10", 10), ("Mono12", 12), ("Mono14", 14), ("Mono16", 16), ("Mono10p", 10), ("Mono12p", 12), ("Mono12Packed", 12),
     ("BayerRG10", 10), ("BayerGB12p", 12), ("BayerBG12", 12)],
)  # fmt: skip
def test_deeper_formats_keep_their_highest_eight_bits(name: str, bits: int) -> None:
    image = to_rgb(grey(name, 200 << (bits - 8), bits))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert not image.flags.writeable
    assert (image == 200).all()


@pytest.mark.parametrize("tile", RED_AT)
def test_each_bayer_mosaic_gives_the_colour_that_was_in_view(tile: str) -> None:
    mosaic = np.zeros((HEIGHT, WIDTH), np.uint8)
    row, column = RED_AT[tile]
    mosaic[row::2, column::2] = 180
    image = to_rgb(Frame.from_bytes(mosaic.tobytes(), WIDTH, HEIGHT, f"Bayer{tile}8"))
    assert tuple(image[4, 8]) == (180, 0, 0)


@pytest.mark.parametrize(("name", "order"), [("RGB8", (10, 20, 30)), ("BGR8", (30, 20, 10))])
def test_colours_keep_their_order(name: str, order: tuple[int, ...]) -> None:
    assert tuple(to_rgb(Frame.from_bytes(bytes(order) * HEIGHT * WIDTH, WIDTH, HEIGHT, name))[3, 3]) == (10, 20, 30)


@pytest.mark.parametrize(("name", "pair"), [("YUV422_8", (100, 128)), ("YUV422_8_UYVY", (128, 100)), ("YCbCr422_8", (100, 128))])
def test_grey_in_yuv_is_grey(name: str, pair: tuple[int, int]) -> None:
    image = to_rgb(Frame.from_bytes(bytes(pair) * HEIGHT * WIDTH, WIDTH, HEIGHT, name))
    assert (abs(image.astype(int) - 100) <= 1).all()


def test_padding_at_the_end_of_lines_is_no_picture() -> None:
    lines = b"".join(bytes([row] * WIDTH) + b"\xff\xff" for row in range(HEIGHT))
    image = to_rgb(Frame.from_bytes(lines, WIDTH, HEIGHT, "Mono8", padding_x=2))
    assert (image[:, :, 0] == np.arange(HEIGHT)[:, None]).all()


def test_a_format_without_a_way_is_refused_by_name() -> None:
    with pytest.raises(CameraError, match="pixel format YUV411_8_UYYVYY cannot be judged; set pixel_format to one of Mono8, "):
        to_rgb(Frame.from_bytes(bytes(600), WIDTH, HEIGHT, "YUV411_8_UYYVYY"))
    assert readable(["Mono8", "Coord3D_ABC32f", "BayerRG12p", "Confidence8", "YUV422_8"]) == ["Mono8", "BayerRG12p", "YUV422_8"]
