"""A station's own words: how labels, products, lots and spans of time are written and spoken, and what they stand for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inspector.settings import ProductSection, StationSettings

_TOKEN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+(?:[./-]\w+)*")
"""One Chinese character, or one word; dots, dashes and slashes inside a word belong to it, so that an id stays whole."""
_IDLE = frozenset({"please", "the", "a", "an", "me", "of", "hey", "inspector", "是", "的", "了", "请"})
"""Words that change nothing; they are left out of sentences and questions alike."""
_DIGITS = dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True))  # noqa: SIM905

SPANS_H: Mapping[str, float] = {
    "hour": 1.0, "shift": 0.0, "day": 24.0, "week": 168.0,
    "小时": 1.0, "一小时": 1.0, "班": 0.0, "一班": 0.0, "天": 24.0, "一天": 24.0, "周": 168.0, "一周": 168.0,
}  # fmt: skip
"""Hours of each span that can be asked for; 0 stands for the station's shift."""
GROUPS: Mapping[str, str] = {
    "part": "", "parts": "", "verdict": "", "verdicts": "", "零件": "",
    "defect": "fail", "defects": "fail", "reject": "fail", "rejects": "fail", "failed part": "fail", "缺陷": "fail", "不合格": "fail",
    "good part": "pass", "good parts": "pass", "合格": "pass",
    "review": "review", "reviews": "review", "复检": "review",
}  # fmt: skip
"""Kinds of verdicts that can be asked for, and their disposition; empty: any."""


FATES: Mapping[str, str] = {
    "rejected": "fail", "failed": "fail", "passed": "pass", "reviewed": "review",
    "不合格": "fail", "判废": "fail", "拒绝": "fail", "失败": "fail", "合格": "pass", "复检": "review",
}  # fmt: skip
"""What became of a part, and its disposition."""


def tokens(text: str) -> list[str]:
    """Return the words of a text in small letters, each Chinese character by itself, without idle words and punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("'s ", " is ")
    return [token for token in _TOKEN.findall(plain) if token not in _IDLE]


def joined(text: str) -> str:
    """Return a text's words, each with one space behind it: what sentences are compared by."""
    return "".join(f"{token} " for token in tokens(text))


def written(text: str) -> dict[str, str]:
    """Return each word of a text as it was written, by the word in small letters."""
    return {token.casefold(): token for token in _TOKEN.findall(unicodedata.normalize("NFKC", text))}


def spelled(name: str) -> str:
    """Return how a name such as ``L7``, ``cell-3`` or ``BS_045`` is spoken: words as they are, short or numbered ones sign by sign."""
    parts = re.findall(r"[A-Za-z]+|[0-9]", name)
    has_digits = any(part.isdigit() for part in parts)
    spoken = []
    for part in parts:
        if part.isdigit():
            spoken.append(_DIGITS[part])
        elif has_digits and len(part) <= 3:
            spoken += list(part.lower())
        else:
            spoken.append(part.lower())
    return " ".join(spoken)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a sentence that the station's words fill."""

    meanings: Mapping[str, str]
    """What each wording, as ``joined`` returns it, stands for."""
    spoken: tuple[str, ...]
    """Wordings that can be said in English: letters and spaces alone."""
    is_open: bool = False
    """True if one word that is not listed may stand here when it is typed, such as a part's id."""


@dataclass(frozen=True, slots=True)
class Words:
    """All slots of a station."""

    slots: Mapping[str, Slot]
    """Slots by name."""
    ambiguous: tuple[str, ...] = field(default=())
    """Wordings that stand for two things; neither is taken."""

    @classmethod
    def of(cls, settings: StationSettings, lots: Iterable[str] = ()) -> "Words":
        """Return the words of a station; ``lots`` are those that it has seen lately."""
        labels = [(name, wording) for product in settings.products.values() for name, wording in _label_wordings(product)]
        products = [(name, wording) for name in settings.products for wording in (name, _spaced(name))]
        lot_list = list(dict.fromkeys(lots))
        label_slot, ambiguous = _slot(labels)
        slots = {
            "label": label_slot,
            "product": _slot(products)[0],
            "lot": _slot([(lot, wording) for lot in lot_list for wording in (lot, spelled(lot))], is_open=True)[0],
            "part": Slot({}, (), is_open=True),
            "span": _slot([(span, span) for span in SPANS_H])[0],
            "group": _slot([(word, word) for word in GROUPS])[0],
            "fate": _slot([(word, word) for word in FATES])[0],
        }
        return cls(slots, ambiguous)


def _label_wordings(product: ProductSection) -> list[tuple[str, str]]:
    """Return (label, wording) of a product: name, name with spaces, and the display name in each language."""
    labels = product.label_set()
    return [
        (name, wording) for name in labels.names for wording in (name, _spaced(name), *labels.display.get(name, {}).values()) if wording
    ]


def _spaced(name: str) -> str:
    return re.sub(r"[_.-]+", " ", name).strip()


def _slot(pairs: Iterable[tuple[str, str]], *, is_open: bool = False) -> tuple[Slot, tuple[str, ...]]:
    """Return the slot of (meaning, wording) pairs, and the wordings that mean two things."""
    meanings: dict[str, str] = {}
    ambiguous = set()
    spoken = []
    for meaning, wording in pairs:
        key = joined(wording)
        if key and meanings.setdefault(key, meaning) != meaning:
            ambiguous.add(key)
        if re.fullmatch(r"[A-Za-z]+(?: [A-Za-z]+)*", wording):
            spoken.append(wording.lower())
    clear = {key: meaning for key, meaning in meanings.items() if key not in ambiguous}
    return Slot(clear, tuple(w for w in dict.fromkeys(spoken) if joined(w) in clear), is_open), tuple(sorted(ambiguous))
