"""Dictation: free speech to text, offline, with a folder of a faster-whisper model that the station's settings name."""

import importlib
from pathlib import Path

import numpy as np

from inspector.assist.sound import Samples
from inspector.assist.words import Words
from inspector.errors import AssistError

_INSTALL = "pip install --no-deps faster-whisper ctranslate2 av"
"""Without dependencies: faster-whisper asks for onnxruntime, which breaks onnxruntime-gpu where both are installed."""


def dictated(samples: Samples, folder: Path, words: Words) -> str | None:
    """Return what was said in (n,) int16 samples at 16 kHz, or None if it was nothing. Raises ``AssistError``.

    The station's own words prompt the model. The folder must hold all its files: nothing is fetched.
    """
    if not (folder / "model.bin").is_file():
        raise AssistError(f"{folder}: assist.dictation must be the folder of a faster-whisper model, with model.bin; nothing is fetched")
    try:
        whisper = importlib.import_module("faster_whisper")
    except ImportError as error:
        raise AssistError(f"assist.dictation needs faster-whisper, which is not installed: {_INSTALL}") from error
    try:
        model = whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
        prompt = ", ".join(words.slots["label"].spoken)
        pieces, _ = model.transcribe(samples.astype(np.float32) / 32768.0, beam_size=1, initial_prompt=prompt or None)
        text = " ".join(piece.text.strip() for piece in pieces).strip()
    except (RuntimeError, ValueError, OSError) as error:
        raise AssistError(
            f"{folder}: the dictation model does not work ({error}); see docs/assist.md, or leave assist.dictation out"
        ) from error
    return text or None
