"""The sounds of the synthetic corpus: pitches, formants, spectra; and that tags are heard."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from beam_pipelines.synthetic import composition, genres, instruments
from beam_pipelines.synthetic.catalogue import clean_tags, plan_corpus
from schemas.audio_spec import AudioSpec, mel_filters

GENRES = st.sampled_from(sorted(composition.TEMPOS))
EXTRAS = st.sets(
    st.sampled_from(["female vocalists", "male vocalists", "rap", "dance", "chillout", "Lo-Fi"])
)


@settings(max_examples=25, deadline=None)
@given(genre=GENRES, extras=EXTRAS, seed=st.integers(0, 2**32), channels=st.sampled_from([1, 2]))
def test_any_tags_give_sound(genre, extras, seed, channels):
    sound = genres.synthesise({genre, *extras}, (seed, 1), (seed, 2), 2.0, 16_000, channels)
    assert sound.shape == (32_000, channels) and sound.dtype == np.float32
    assert 0.5 - 1e-6 <= np.abs(sound).max() <= 0.8 + 1e-6
    again = genres.synthesise({genre, *extras}, (seed, 1), (seed, 2), 2.0, 16_000, channels)
    np.testing.assert_array_equal(sound, again)
    assert not np.array_equal(
        sound, genres.synthesise({genre, *extras}, (seed, 1), (seed, 3), 2.0, 16_000, channels)
    )


def test_a_clip_has_exactly_one_genre():
    for tags in ({"dance"}, {"rock", "jazz"}):
        with pytest.raises(ValueError, match="genres, not one"):
            composition.artist_style(tags, (0,))


def spectrum(tags, numbers=range(4)) -> np.ndarray:
    """Mean share of the power in eight octaves up to 11 kHz, over some artists."""
    edges = 11_025 / 2.0 ** np.arange(8, -1, -1)
    shares = []
    for number in numbers:
        sound = genres.synthesise(tags, (number,), (number, 1), 6.0)[:, 0]
        power = np.abs(np.fft.rfft(sound)) ** 2
        frequency = np.fft.rfftfreq(len(sound), 1 / 22_050)
        octaves = [
            power[(frequency >= a) & (frequency < b)].sum()
            for a, b in zip(edges, edges[1:], strict=False)
        ]
        shares.append(np.array(octaves) / power.sum())
    return np.mean(shares, axis=0)


def test_spectra_tell_tags_apart():
    octave = {name: spectrum({name}) for name in composition.TEMPOS}
    for name, shares in octave.items():
        for other, others in octave.items():
            assert name == other or np.abs(shares - others).sum() > 0.1, (name, other)
    # 43 to 86 Hz: bass drums and sub bass; over 2.8 kHz: cymbals and distortion
    assert octave["techno"][:1] > 5 * octave["Classical"][:1]
    assert octave["Hip-Hop"][:1] > 5 * octave["folk"][:1]
    assert octave["metal"][6:].sum() > 5 * octave["ambient"][6:].sum()
    assert spectrum({"metal", "Lo-Fi"})[7] < 0.1 * octave["metal"][7]


@pytest.mark.parametrize("sex, pitch", [("female", 69), ("male", 50)])
def test_a_voice_has_its_pitch_and_its_formants(sex, pitch):
    strongest = {}
    for vowel, formants in instruments.VOWELS[sex].items():
        noise = np.random.default_rng(0)
        sound = instruments.voice(pitch, 2.0, 22_050, vowel, sex, noise)
        power = np.abs(np.fft.rfft(sound)) ** 2
        frequency = np.fft.rfftfreq(len(sound), 1 / 22_050)
        number = np.round(frequency / instruments.hertz(pitch))
        # the vibrato is a third of a semitone (2 %) at 5.5 Hz
        width = np.maximum(0.03 * frequency, 12)
        near = np.abs(frequency - number * instruments.hertz(pitch)) < width
        low = frequency < 1200
        assert power[near & low].sum() > 0.98 * power[low].sum()
        strongest[vowel] = frequency[np.argmax(power)]
        assert abs(strongest[vowel] - formants[0]) < 0.75 * instruments.hertz(pitch)
    assert strongest["i"] < strongest["a"]


@settings(max_examples=30, deadline=None)
@given(pitch=st.floats(30, 84), tilt=st.floats(1, 3), rate=st.sampled_from([16_000, 44_100]))
def test_a_tone_has_its_pitch_and_no_alias(pitch, tilt, rate):
    sound = instruments.tone(pitch, 1.0, rate, instruments.partials(pitch, rate, tilt))
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    assert np.argmax(power) == pytest.approx(instruments.hertz(pitch), abs=1.5)
    assert power[int(0.46 * rate) :].sum() < 1e-3 * power.sum()
    assert np.sqrt(np.mean(sound[1000:-2000] ** 2)) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("pitch", [40, 52, 60, 69])
def test_a_plucked_string_repeats_with_its_period(pitch):
    sound = instruments.pluck(pitch, 1.0, 22_050, np.random.default_rng(pitch))
    late = sound[4000:12_000]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(late, 2 * len(late))) ** 2)[:2000]
    low = int(0.6 * 22_050 / instruments.hertz(pitch))
    period = low + np.argmax(correlation[low : 3 * low])
    assert 22_050 / period == pytest.approx(instruments.hertz(pitch), rel=0.03)
    assert np.sum(sound[:5000] ** 2) > np.sum(sound[10_000:15_000] ** 2)


def test_low_drums_and_high_cymbals():
    noise = np.random.default_rng(0)
    share = {}
    for name, sound in (
        ("kick", instruments.kick(22_050)),
        ("snare", instruments.snare(22_050, noise)),
        ("hat", instruments.cymbal(22_050, noise, 0.06)),
    ):
        power = np.abs(np.fft.rfft(sound, 22_050)) ** 2
        share[name] = (power[:200].sum() / power.sum(), power[4000:].sum() / power.sum())
    assert share["kick"][0] > 0.9 > share["snare"][0]
    assert share["hat"][1] > 0.9 > share["snare"][1]


@pytest.mark.parametrize("number", range(4))
def test_the_floor_is_at_the_artists_tempo(number):
    tempo = composition.artist_style({"techno"}, (number,)).tempo
    sound = genres.synthesise({"techno"}, (number,), (number, 1), 12.0)[:, 0]
    low = instruments.lowpass(sound, 22_050, 100, 4)
    pulse = scipy.signal.resample_poly(low**2, 1, 210)  # 105 values a second
    power = np.abs(np.fft.rfft(pulse - pulse.mean(), 105 * 600))[: 5 * 600]
    beats = np.argmax(power) / 10  # a minute
    assert beats == pytest.approx(tempo, rel=0.02)


def log_mel_moments(sound: np.ndarray, rate: int) -> np.ndarray:
    """Mean and standard deviation of the log-mel bands of one clip [2 n_mels]."""
    spec = AudioSpec(sample_rate=rate)
    _, _, spectrum = scipy.signal.stft(sound, rate, nperseg=spec.n_fft, noverlap=spec.n_fft // 2)
    power = mel_filters(spec) @ np.abs(spectrum) ** 2
    decibel = 10 * np.log10(np.maximum(power, power.max() * 1e-8))
    return np.concatenate([decibel.mean(axis=1), decibel.std(axis=1)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tags_can_be_learnt_from_artists_and_told_of_others(seed):
    """Logistic regression on plain moments; the artists of the test are other ones."""
    plan = plan_corpus(240, seed)
    clips = {clip.path: clip for clip in plan.clips}
    moments, tags, artists = [], [], []
    for song in plan.tracks:
        clip = clips[song.path]
        sound = genres.synthesise(clip.tags, clip.artist_seed, clip.piece_seed)[:, 0]
        moments.append(log_mel_moments(sound, 22_050))
        tags.append(clean_tags(clip.tags))
        artists.append(song.artist.number)
    order = np.random.default_rng(seed).permutation(max(artists) + 1)
    train = np.isin(artists, order[len(order) // 4 :])
    features = StandardScaler().fit(np.array(moments)[train]).transform(moments)
    areas = []
    for tag in sorted({name for names in tags for name in names}):
        truth = np.array([tag in names for names in tags])
        if truth[~train].sum() >= 5:
            model = LogisticRegression(C=0.01, max_iter=500).fit(features[train], truth[train])
            areas.append(roc_auc_score(truth[~train], model.decision_function(features[~train])))
    assert len(areas) >= 9
    assert 0.87 < np.mean(areas) < 0.99
