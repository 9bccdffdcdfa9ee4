"""What the pages say, in English and Chinese: the English words are the key. Labels have their names in the station's settings."""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]


@functools.cache
def chinese() -> Mapping[str, str]:
    """Return the Chinese words by their English ones."""
    return tomllib.loads(Path(__file__).with_name("chinese.toml").read_text(encoding="utf-8"))


def translate(english: str, language: Language) -> str:
    """Return the words in a language; words without a translation stay English."""
    return chinese().get(english, english) if language == "zh" else english


def language_of(asked: str | None, remembered: str | None, accepted: str) -> Language:
    """Return the language to speak: the one asked for, else the one of last time, else the browser's."""
    for wish in (asked, remembered):
        if wish in {"en", "zh"}:
            return "zh" if wish == "zh" else "en"
    return "zh" if accepted.strip().lower().startswith("zh") else "en"
