"""The pipeline asks a model what spoke for its labels."""

import numpy as np
from numpy.typing import NDArray

from inspector.core.context import Context
from inspector.core.frame import Image
from tests.test_pipeline import FakePredictor, flat, frame, judge


class ExplainingPredictor(FakePredictor):
    """Finds that the whole picture spoke for a dent."""

    def label_map(self, image: Image, context: Context, label: str) -> NDArray[np.float32]:
        return np.full((2, 2), 1.0 if label == "dent" else -1.0, np.float32)


def test_what_spoke_for_each_regions_label_is_told_by_a_model_that_can_and_by_no_other() -> None:
    able, plain = judge(ExplainingPredictor()), judge(FakePredictor())
    for value, nats in ((30, 1.0), (220, -1.0)):
        shown = frame(0, flat(value))
        assert able.label_maps(shown, able.inspect([shown])[0])["frame"].tolist() == [[nats] * 2] * 2
        assert plain.label_maps(shown, plain.inspect([shown])[0]) == {}
