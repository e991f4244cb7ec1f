"""Log-mel spectrograms against librosa's."""

import librosa
import numpy as np
import pytest

from beam_pipelines.audio import spectrogram
from schemas.audio_spec import AudioSpec

SPEC = AudioSpec()
PONS = AudioSpec(n_fft=512, hop_length=256, compression="log10")


@pytest.mark.parametrize("spec", [SPEC, PONS, AudioSpec(22050, 40, 1024, 300, top_db=40.0)])
@pytest.mark.parametrize("n_samples", [300, 16_000, 300_000])
def test_log_mel_is_librosas(spec, n_samples):
    rng = np.random.default_rng(n_samples)
    fade = np.linspace(0, 1, n_samples) ** 4
    noise = (0.2 * rng.standard_normal(n_samples) * fade).astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=noise,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
    )
    if spec.compression == "db":
        expected = librosa.power_to_db(mel, ref=1.0, amin=spec.amin, top_db=spec.top_db)
    else:
        expected = np.log10(10000 * mel + 1)
    ours = spectrogram.log_mel(noise, spec)
    assert ours.dtype == np.float32
    assert ours.shape == (spec.n_frames(n_samples), spec.n_mels) == expected.T.shape
    np.testing.assert_allclose(ours, expected.T, atol=1e-3)


def test_log_mel_floor_of_nothing():
    zeros = np.zeros(4000, np.float32)
    np.testing.assert_allclose(spectrogram.log_mel(zeros, SPEC), -100, rtol=1e-6)
    np.testing.assert_array_equal(spectrogram.log_mel(zeros, PONS), 0)
