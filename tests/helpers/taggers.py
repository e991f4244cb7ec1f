"""Small taggers for tests."""

from __future__ import annotations

import functools

import numpy as np

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from tests.helpers.models import randomise
from trainer.models.registry import build_model
from trainer.tagger.clip_tagger import Tagger

LABELS = ["rock", "drum & bass", "chanson française"]
WINDOWS = {LOG_MEL: 40, WAVEFORM: 20_000}
SPEC = AudioSpec()


def make_tagger(frontend, window=None, **options):
    window = window or WINDOWS[frontend]
    model = build_model(
        "pons",
        frontend=frontend,
        window=window,
        n_mels=SPEC.n_mels,
        n_tags=len(LABELS),
        n_filters=1,
        n_dense=8,
    )
    config = {"name": "pons", "n_filters": 1, "n_dense": 8}
    return Tagger(randomise(model), SPEC, frontend, window, LABELS, config, **options), model


@functools.cache
def shared_tagger(frontend):
    """One tagger for all tests that leave it as it is: its graph is traced once."""
    return make_tagger(frontend)


def noise(n_samples, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    envelope = np.abs(rng.normal(0, 0.1, (batch, n_samples // 1000 + 1))).repeat(1000, axis=1)
    return (rng.normal(0, 1, (batch, n_samples)) * envelope[:, :n_samples]).astype(np.float32)
