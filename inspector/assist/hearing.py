"""Hearing: sound to one of the station's sentences, offline, with pocketsphinx and a grammar; or an honest "not understood".

A grammar turns any sound into its nearest sentence. So the sound is also turned into phones without any grammar, and where they are too
unlike those of the sentence, nothing was understood. docs/assist.md tells how often that is right.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.assist.pronouncing import dictionary_text, read_dictionary, sounds_of
from inspector.assist.sentences import Meaning, grammar, spoken_words, understand
from inspector.assist.sound import Samples, as_from_a_microphone, is_silent
from inspector.assist.words import Words
from inspector.errors import AssistError
from inspector.settings import AssistSection

if TYPE_CHECKING:
    from pocketsphinx import Decoder

_UNLIKE = 0.59
"""Most changes of a sound, for each sound of the sentence, between it and the phone loop; by ``python -m tests.assist_measure``."""
_CLASSES = {
    phone: group
    for group in ("P B", "T D", "K G", "F V", "TH DH", "S Z", "SH ZH", "CH JH", "M N NG", "L R", "W Y HH")
    for phone in group.split()
} | dict.fromkeys("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split(), "vowel")  # noqa: SIM905
"""Sounds that are easily taken for each other count as one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard."""

    transcript: str | None
    """The sentence; None if nothing was understood."""
    meaning: Meaning | None
    """What it means."""
    reason: str
    """Why nothing was understood; empty if something was."""


class Ear:
    """A recogniser for one station's sentences."""

    def __init__(self, words: Words, options: AssistSection) -> None:
        """Look up how the station's words sound. Raises ``AssistError`` if pocketsphinx is not installed."""
        try:
            import pocketsphinx  # noqa: PLC0415 - an extra: typed questions need none of it
        except ImportError as error:
            raise AssistError("speech needs pocketsphinx: pip install 'qc-inspector[assist]'; --text works without it") from error
        self._decoder_class = pocketsphinx.Decoder
        self._model = Path(pocketsphinx.get_model_path("en-us"))
        self._words = words
        self.sounds, self.unknown = sounds_of(spoken_words(words), options.words, self._dictionary)
        """Sounds of each word that can be heard; and the words that cannot, because nobody knows how they sound."""

    def hear(self, samples: Samples) -> Heard:
        """Return the sentence in (n,) int16 samples at 16 kHz."""
        if is_silent(samples):
            return Heard(None, None, "nothing was said: the sound is silent or shorter than 0.1 s")
        sound = as_from_a_microphone(samples)
        spoken = _decoded(self._sentences, sound)
        meaning = understand(" ".join(spoken), self._words) if spoken else None
        if meaning is None:
            return Heard(None, None, "it is none of the sentences that this station knows")
        if self._unlikeness(spoken, _decoded(self._phones, sound)) > _UNLIKE:
            return Heard(None, None, "it sounds unlike every sentence that this station knows")
        return Heard(" ".join(spoken), meaning, "")

    def _unlikeness(self, spoken: Sequence[str], phones: Sequence[str]) -> float:
        """Return how many sounds must be changed to make phones the sentence, for each sound of the sentence; 0 and more."""
        sentence = [phone for word in spoken for phone in self.sounds[word][0].split()]
        first, second = ([_CLASSES.get(phone, phone) for phone in some] for some in (sentence, phones))
        return _distance(first, second) / max(len(first), 1)

    @cached_property
    def _dictionary(self) -> dict[str, list[str]]:
        return read_dictionary(self._model / "cmudict-en-us.dict")

    @cached_property
    def _sentences(self) -> "Decoder":
        """The recogniser of whole sentences; it reads its files at once."""
        with tempfile.TemporaryDirectory(prefix="inspector-assist-") as folder:
            sentences, dictionary = Path(folder) / "station.gram", Path(folder) / "station.dict"
            sentences.write_text(grammar(self._words, list(self.sounds)), encoding="utf-8")
            dictionary.write_text(dictionary_text(self.sounds), encoding="utf-8")
            return self._decoder(jsgf=str(sentences), dict=str(dictionary))

    @cached_property
    def _phones(self) -> "Decoder":
        """The recogniser of single sounds; beams and weights as CMUSphinx's documentation gives them for phoneme recognition."""
        loop = str(self._model / "en-us-phone.lm.bin")
        return self._decoder(allphone=loop, allphone_ci=True, lw=2.0, pip=0.3, beam=1e-20, pbeam=1e-20)

    def _decoder(self, **options: object) -> "Decoder":
        return self._decoder_class(hmm=str(self._model / "en-us"), lm=None, samprate=16000, loglevel="FATAL", **options)


def _decoded(decoder: "Decoder", sound: bytes) -> list[str]:
    """Return the words, or phones, of a sound in order; silences and noises left out."""
    decoder.start_utt()
    decoder.process_raw(sound, no_search=False, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    pieces = [segment.word.partition("(")[0] for segment in decoder.seg()]
    return [piece for piece in pieces if piece and piece[0] not in "<+[" and piece != "SIL"]


def _distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many sounds must be put in, left out or changed to make one sequence the other (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for number, one in enumerate(first, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(second, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (one != other))
    return row[-1]
