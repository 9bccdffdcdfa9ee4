"""How well the assistant hears: ``python -m tests.assist_measure``.

Sentences of the grammar and sentences outside it, in several voices of espeak-ng: how many are heard right, how many are taken for another
sentence, how many strange ones pass. Synthetic voices in a quiet room say little about a plant; they show that nothing is broken.
"""

import tempfile
import time
from pathlib import Path

import click

from inspector.assist.hearing import Ear
from inspector.assist.sound import RATE_HZ, read_sound
from inspector.assist.words import Words
from tests.assist.assist_kit import speak, write_station

VOICES = (("en-us", 150), ("en-gb", 130), ("en-us+f3", 170), ("en-us+m5", 140), ("en-gb-scotland", 150), ("en-us+f2", 140))
KNOWN = (
    "show the last defect", "why was this part rejected", "how many parts in the last hour", "what is the yield of the last shift",
    "what was reported about surface scratch", "mark this part as slag inclusion", "pause the station", "stop the line",
    "show the open reviews", "how is the station", "inspect this part", "how many red iron in the last day", "set the lot to l seven",
    "resume the station", "take a picture now", "show similar reports",
)  # fmt: skip
STRANGE = (
    "the weather is nice today", "please bring me a cup of coffee", "where is the maintenance key", "tomorrow is a holiday",
    "two hundred degrees at the furnace", "hello", "show me the money", "the part was not rejected because of the crane", "okay",
    "my shift ends at six", "the forklift is blocking the gate", "call the electrician", "what time is it", "close the door",
    "is there any coffee left", "the last bus leaves at ten",
)  # fmt: skip


def measure(folder: Path) -> None:
    """Print what was heard."""
    ear = Ear(Words.of(settings := write_station(folder), ["L7"]), settings.assist)
    right = wrong = missed = passed = 0
    sound_s = spent_s = 0.0
    for is_known, texts in ((True, KNOWN), (False, STRANGE)):
        for text in texts:
            for voice, speed in VOICES:
                samples = read_sound(speak(text, folder / "a.wav", voice, speed))
                began = time.perf_counter()
                heard = ear.hear(samples).transcript
                spent_s, sound_s = spent_s + time.perf_counter() - began, sound_s + samples.size / RATE_HZ
                right += is_known and heard == text
                missed += is_known and heard is None
                wrong += is_known and heard is not None and heard != text
                passed += not is_known and heard is not None
                if heard != (text if is_known else None):
                    click.echo(f"  {voice:<16} {text!r} -> {heard!r}")
    count = len(VOICES) * len(KNOWN)
    click.echo(f"{count} known sentences: {right} right, {missed} not understood, {wrong} taken for another sentence")
    click.echo(f"{len(VOICES) * len(STRANGE)} strange sentences: {passed} taken for a known one")
    click.echo(f"{spent_s / sound_s:.2f} s for a second of sound")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))
