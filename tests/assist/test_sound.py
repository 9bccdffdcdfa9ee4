import wave
from pathlib import Path

import numpy as np
import pytest

from inspector.assist.pronouncing import dictionary_text, sounds_of
from inspector.assist.sound import RATE_HZ, is_silent, read_sound
from inspector.errors import AssistError


def write(path: Path, samples: np.ndarray, rate: int, width: int = 2, channels: int = 1) -> Path:
    """Write samples of -1..1 as PCM."""
    whole = np.round(samples * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        whole += 128
    data = whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", "NONE"))
        file.writeframes(np.repeat(data, channels, axis=0).tobytes())
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_keeps_pitch_length_and_loudness_whatever_the_file_is(tmp_path: Path, rate: int, width: int, channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    samples = read_sound(write(tmp_path / "a.wav", tone, rate, width, channels))
    assert samples.shape == (RATE_HZ,)
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    assert int(spectrum.argmax()) == 440
    assert float(np.abs(samples.astype(np.float64)).max()) == pytest.approx(0.5 * 32767, rel=0.03)
    assert not is_silent(samples)


def test_what_lies_above_half_the_rate_does_not_fold_back(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    assert is_silent(read_sound(write(tmp_path / "a.wav", tone, 48_000)))


def test_silence_and_nothing_are_silent(tmp_path: Path) -> None:
    assert is_silent(read_sound(write(tmp_path / "a.wav", np.zeros(16_000), 16_000)))
    assert is_silent(read_sound(write(tmp_path / "b.wav", np.zeros(0), 16_000)))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is no sound", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_a_file_that_is_no_sound_is_told_with_the_cure(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AssistError, match=r"a\.wav: is no WAV file .* ffmpeg"):
        read_sound(tmp_path / "a.wav")


def test_a_file_of_more_than_a_minute_is_no_question(tmp_path: Path) -> None:
    with pytest.raises(AssistError, match="longer than 60 s"):
        read_sound(write(tmp_path / "a.wav", np.zeros(61 * 8_000), 8_000))


def test_sounds_come_from_the_station_the_dictionary_or_two_known_words() -> None:
    dictionary = {"mis": ["M IH S"], "alignment": ["AH L AY N M AH N T"], "flange": ["X"], "red": ["R EH D"]}
    found, unknown = sounds_of(["misalignment", "flange", "red", "zzyzx"], {"Flange": "F L AE N JH"}, dictionary)
    assert found == {"flange": ["F L AE N JH"], "misalignment": ["M IH S AH L AY N M AH N T"], "red": ["R EH D"]}
    assert unknown == ["zzyzx"]
    assert dictionary_text({"the": ["DH AH", "DH IY"]}) == "the DH AH\nthe(2) DH IY\n"
