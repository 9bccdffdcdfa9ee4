"""How words sound: the recogniser's dictionary, the station's own ``[assist] words``, and words put together from two known ones."""

from collections.abc import Iterable, Mapping
from pathlib import Path

_SHORTEST_PIECE = 3
"""Letters of the shortest word that a longer one may be put together from: ``mis`` + ``alignment``."""


def read_dictionary(path: Path) -> dict[str, list[str]]:
    """Return every sound of every word in a dictionary file of pocketsphinx; a sound is ARPAbet with spaces."""
    sounds: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, sound = line.partition(" ")
        sounds.setdefault(word.partition("(")[0], []).append(sound.strip())
    return sounds


def sounds_of(words: Iterable[str], own: Mapping[str, str], dictionary: Mapping[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the sounds of words, and the words whose sound nobody knows. The station's own sounds come first."""
    own_small = {word.lower(): sound for word, sound in own.items()}
    found: dict[str, list[str]] = {}
    unknown = []
    for word in sorted(set(words)):
        sounds = [own_small[word]] if word in own_small else dictionary.get(word) or _put_together(word, dictionary)
        if sounds:
            found[word] = sounds
        else:
            unknown.append(word)
    return found, unknown


def dictionary_text(sounds: Mapping[str, list[str]]) -> str:
    """Return the text of a dictionary file."""
    return "".join(
        f"{word}{f'({number})' if number > 1 else ''} {sound}\n"
        for word, all_of in sounds.items()
        for number, sound in enumerate(all_of, 1)
    )


def _put_together(word: str, dictionary: Mapping[str, list[str]]) -> list[str]:
    """Return the sound of a word as that of two known ones, the longest second one first; empty if there is no such pair."""
    for cut in range(_SHORTEST_PIECE, len(word) - _SHORTEST_PIECE + 1):
        if word[:cut] in dictionary and word[cut:] in dictionary:
            return [f"{dictionary[word[:cut]][0]} {dictionary[word[cut:]][0]}"]
    return []
