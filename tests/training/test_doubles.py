import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.frame import Image
from inspector.training.doubles import joined, near_doubles
from inspector.training.examination import Examined, looks
from tests.station_kit import picture


def seen(image: Image) -> Examined:
    look, thumbnail = looks(image)
    return Examined("", "", image.shape[1], image.shape[0], (image.shape[1], image.shape[0]), look, thumbnail)


def pairs(**images: Image) -> list[tuple[str, str]]:
    return list(near_doubles(list(images), {name: seen(image) for name, image in images.items()}))


def poor(image: Image) -> Image:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("change", ["poor", "half", "brighter", "noisy"])
def test_the_same_view_saved_anew_is_a_near_double(change: str) -> None:
    image = picture(1)
    other = {
        "poor": poor(image),
        "half": np.asarray(cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA), np.uint8),
        "brighter": np.clip(image * 1.1 + 5, 0, 255).astype(np.uint8),
        "noisy": np.clip(image + np.random.default_rng(1).normal(0, 4, image.shape), 0, 255).astype(np.uint8),
    }[change]
    assert pairs(one=image, other=other) == [("one", "other")]


def test_other_views_are_no_near_doubles_even_where_the_light_falls_alike() -> None:
    slope = np.linspace(40, 200, 128)[None, :, None]
    noise = [np.random.default_rng(seed).normal(0, 12, (96, 128, 1)) for seed in (1, 2)]
    even = [np.repeat(np.clip(slope + cv2.GaussianBlur(grain, (0, 0), 2)[..., None] * 4, 0, 255), 3, 2).astype(np.uint8) for grain in noise]
    assert pairs(one=even[0], other=even[1]) == []
    assert pairs(**{str(seed): picture(seed) for seed in range(40)}) == []


def test_flat_pictures_are_like_none() -> None:
    assert pairs(dark=np.zeros((20, 20, 3), np.uint8), grey=np.full((20, 20, 3), 90, np.uint8)) == []


def test_pairs_are_found_across_blocks_of_rows() -> None:
    images = {f"{number:04d}": picture(number, 48, 64) for number in range(600)} | {"again": poor(picture(3, 48, 64))}
    assert ("0003", "again") in pairs(**images)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")).filter(lambda pair: pair[0] != pair[1])))
def test_what_hangs_together_has_one_name_whatever_the_order(found: list[tuple[str, str]]) -> None:
    names = joined(found)
    assert all(names[one] == names[other] for one, other in found)
    assert all(names[name] == name and name <= member for member, name in names.items())
    assert joined([(other, one) for one, other in reversed(found)]) == names
