import re
from pathlib import Path

import pytest

from inspector.assist.sentences import SENTENCES, grammar, said, spoken_words, understand
from inspector.assist.words import Words, spelled
from tests.assist.assist_kit import write_station


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words.of(write_station(tmp_path), ["L7", "462500_045"])


@pytest.mark.parametrize(
    ("text", "kind", "slots"),
    [
        ("Why was this part rejected?", "why", {"fate": "rejected"}),
        ("what's the yield of the last shift", "yield", {"span": "shift"}),
        ("show last defect", "part", {"group": "defect"}),
        ("Tell me, how many red_iron in the last hour please", "count", {"label": "red_iron", "span": "hour"}),
        ("show part SN-0042.", "part", {"part": "SN-0042"}),
        ("show the last part of lot 462500_045", "part", {"lot": "462500_045"}),
        ("how many defects today", "count", {"group": "defects"}),
        ("set the lot to L8b", "command", {"lot": "L8b"}),
        ("stop the line", "refused", {}),
        ("show me the last 表面划伤", "part", {"label": "surface_scratch"}),
        ("为什么这个零件不合格?", "why", {"fate": "不合格"}),
        ("最近一小时有多少红铁皮", "count", {"span": "一小时", "label": "red_iron"}),
        ("把这个零件标记为夹渣", "mark", {"label": "slag_inclusion"}),
        ("表面划伤", "reports", {"label": "surface_scratch"}),
        ("最近的表面划伤", "part", {"label": "surface_scratch"}),
        ("最近一班的合格率", "yield", {"span": "一班"}),
    ],
)
def test_typed_questions_are_understood_in_english_and_by_chinese_display_names(
    words: Words, text: str, kind: str, slots: dict[str, str]
) -> None:
    meaning = understand(text, words)
    assert meaning is not None
    assert (meaning.sentence.kind, dict(meaning.slots)) == (kind, slots)


@pytest.mark.parametrize(
    "text", ["", "hello", "pause", "the weather is nice", "show part please", "???", "为什么", "mark this part as purple"]
)
def test_what_is_no_sentence_is_not_understood(words: Words, text: str) -> None:
    assert understand(text, words) is None


@pytest.mark.parametrize(
    "text", ["don't mark this part as red iron", "do not pause the station", "we must not stop the line", "set the lot to L8 tomorrow"]
)
def test_an_order_within_other_words_is_no_order(words: Words, text: str) -> None:
    assert understand(text, words) is None


def test_every_spoken_wording_is_understood_as_its_own_sentence(words: Words) -> None:
    for sentence in SENTENCES:
        for wording in set(sentence.said) & set(said(words)):
            plain = re.sub(r"\[[^]]*\]|\(([^|)]*)[^)]*\)", lambda found: found[1] or "", wording)
            text = re.sub(r"<(\w+)>", lambda found: words.slots[found[1]].spoken[0], plain)
            meaning = understand(text, words)
            assert meaning is not None, text
            assert meaning.sentence is sentence, text


def test_the_grammar_leaves_out_what_nobody_knows_the_sound_of(words: Words) -> None:
    sounds = sorted(spoken_words(words) - {"iron", "steel"})
    text = grammar(words, sounds)
    assert "slag inclusion" in text
    assert "red iron" not in text
    assert "<product>" not in text
    assert "l seven" in text


def test_a_wording_of_two_labels_is_taken_for_neither(tmp_path: Path) -> None:
    settings = write_station(tmp_path, '[products.plate]\nlabels = ["ok", "scratch_a"]\ndisplay.scratch_a = { zh = "表面划伤" }\n'
                             '[station]\nproduct = "plate"\n')  # fmt: skip
    words = Words.of(settings)
    assert words.ambiguous == ("表 面 划 伤 ",)
    assert understand("表面划伤", words) is None


@pytest.mark.parametrize(("name", "sound"), [("L7", "l seven"), ("steel-strip", "steel strip"), ("BS_045", "b s zero four five")])
def test_ids_are_spoken_sign_by_sign_and_words_as_words(name: str, sound: str) -> None:
    assert spelled(name) == sound
