"""Sound: a WAV file to one channel of 16-bit samples at 16 kHz, as the recognisers want it."""

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspector.errors import AssistError

RATE_HZ = 16_000
"""Samples a second that the recognisers were trained on."""
LONGEST_S = 60.0
"""A question takes seconds; a longer file is no question."""
_PAD_S = 0.25
_NOISE = 10.0
"""Digital silence, which no microphone delivers, upsets the recogniser; a little noise (standard deviation of 16-bit samples) does not."""
_QUIETEST = 50.0
"""Largest absolute sample below which nothing was said."""

Samples = NDArray[np.int16]


def read_sound(sound: Path | bytes) -> Samples:
    """Return (n,) int16 samples at 16 kHz of a file or of its content. Raises ``AssistError`` that says what it must be."""
    path = sound if isinstance(sound, Path) else "the recording"
    try:
        with wave.open(io.BytesIO(sound) if isinstance(sound, bytes) else str(sound), "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            if file.getnframes() > LONGEST_S * rate:
                raise AssistError(f"{path}: longer than {LONGEST_S:.0f} s; give the question alone")
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise AssistError(
            f"{path}: is no WAV file with PCM samples ({reason}); convert it: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
        ) from error
    whole = len(data) - len(data) % (width * channels)
    mono = _as_float(data[:whole], width).reshape(-1, channels).mean(axis=1)
    return np.clip(np.round(_resampled(mono, rate)), -32768, 32767).astype(np.int16)


def is_silent(samples: Samples) -> bool:
    """Return True if nothing was said."""
    return samples.size < RATE_HZ // 10 or float(np.abs(samples.astype(np.float64)).max()) < _QUIETEST


def as_from_a_microphone(samples: Samples) -> bytes:
    """Return the samples as bytes, with a quarter of a second before and behind, in a little noise that is the same each time."""
    pad = np.zeros(int(_PAD_S * RATE_HZ))
    padded = np.concatenate([pad, samples.astype(np.float64), pad])
    noisy = padded + np.random.default_rng(0).normal(0.0, _NOISE, padded.size)
    return np.clip(np.round(noisy), -32768, 32767).astype("<i2").tobytes()


def _as_float(data: bytes, width: int) -> NDArray[np.float64]:
    """Return samples of 1 to 4 bytes in the range of 16-bit ones; WAV's 8-bit samples have no sign."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) * 256.0
    if width == 3:
        whole = np.zeros((len(data) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return whole.view("<i4")[:, 0].astype(np.float64) / 65_536.0
    return np.frombuffer(data, f"<i{width}").astype(np.float64) / 256.0 ** (width - 2)


def _resampled(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Return the samples at 16 kHz, limited in band by cutting their spectrum, so that nothing folds back."""
    if rate == RATE_HZ or not samples.size:
        return samples
    length = max(1, round(samples.size * RATE_HZ / rate))
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    resampled: NDArray[np.float64] = np.fft.irfft(spectrum, length) * (length / samples.size)
    return resampled
