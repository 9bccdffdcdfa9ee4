"""Sparkplug B on the wire. The expected bytes were written by Eclipse Tahu's generated protobuf code (PyPI tahutils 0.1.11)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.core.inspection import Inspection
from inspector.edge.extras.sparkplug import REBIRTH, asks_rebirth, encode
from inspector.edge.extras.sparkplug_node import SparkplugNode
from inspector.edge.topics import Topics
from inspector.settings import ExtrasSection

OF_TAHU = bytes.fromhex(
    "08fbd095ffbc3112130a05626453657118fbd095ffbc31200858ff0112210a144e6f646520436f6e74726f6c2f5265626972746818fbd095ffbc31200b7000"
    "12200a0a526573756c742f53657118fbd095ffbc31200458fdffffffffffffffff0112250a11526573756c742f436f6e666964656e636518fbd095ffbc3120"
    "0a69c3f5285c8fc2ed3f12190a0c526573756c742f4c6162656c18fbd095ffbc31200c380112200a0d526573756c742f526561736f6e18fbd095ffbc31200c"
    "7a06e58892e4bca418c801"
)
COMMAND_OF_TAHU = bytes.fromhex(
    "08fbd095ffbc3112190a134e6f646520436f6e74726f6c2f5265626f6f74200b7001121a0a144e6f646520436f6e74726f6c2f52656269727468200b700112"
    "0a0a01662009650000c03f1800"
)


@pytest.fixture
def node(topics: Topics) -> SparkplugNode:
    return SparkplugNode(topics, ExtrasSection(sparkplug=True))


def test_a_payload_is_what_tahu_writes() -> None:
    metrics = {
        "bdSeq": (int, 255),
        REBIRTH: (bool, False),
        "Result/Seq": (int, -3),
        "Result/Confidence": (float, 0.93),
        "Result/Label": (str, None),
        "Result/Reason": (str, "划伤"),
    }
    assert encode(metrics, 1_700_000_000_123, 200) == OF_TAHU


def test_a_rebirth_is_found_in_what_tahu_writes_and_nowhere_else() -> None:
    assert asks_rebirth(COMMAND_OF_TAHU)
    assert not asks_rebirth(OF_TAHU), "there it is false"
    assert not asks_rebirth(b"")


@given(st.binary(max_size=300))
def test_whatever_a_host_sends_is_read_or_passed_over(payload: bytes) -> None:
    assert asks_rebirth(payload) in {True, False}


def test_the_numbers_of_births_data_and_deaths_hang_together(
    node: SparkplugNode, make_inspection: Callable[..., Inspection], topics: Topics
) -> None:
    death = node.death()
    birth = node.birth(0.0)
    data = [node.data(make_inspection(number, seq=number)) for number in range(1, 301)]
    assert (death.topic, birth.topic) == ("spBv1.0/plant-press/NDEATH/line1-cell-3", "spBv1.0/plant-press/NBIRTH/line1-cell-3")
    assert birth.payload[-2:] == b"\x18\x00"
    closing = [message.payload[message.payload.rindex(b"\x18") :] for message in data]
    assert closing[0] == b"\x18\x01"
    assert closing[255] == b"\x18\x00", "after 255 comes 0"
    assert node.obituary().payload[-2:] == death.payload[-2:], "one life, one bdSeq"
    assert node.death().payload[-2:] != death.payload[-2:]


def test_a_birth_holds_the_newest_values(node: SparkplugNode, make_inspection: Callable[..., Inspection]) -> None:
    assert b"NotOK" not in node.birth(0.0).payload
    node.data(make_inspection(disposition="fail", label="scratch"))
    again = node.rebirth(60.0)
    assert again is not None
    assert b"NotOK" in again.payload
    assert node.rebirth(61.0) is None, "a host that asks all the time is not answered all the time"


def test_group_and_place_can_be_set(topics: Topics) -> None:
    assert (
        SparkplugNode(topics, ExtrasSection(sparkplug=True, sparkplug_group="plant 7")).topic("NCMD") == "spBv1.0/plant 7/NCMD/line1-cell-3"
    )
