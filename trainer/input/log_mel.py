"""The log-mel front end as a TensorFlow graph, for exported models and waveform data sets."""

from __future__ import annotations

import math

import tensorflow as tf

from schemas.audio_spec import AudioSpec, mel_filters


def log_mel(audio: tf.Tensor, spec: AudioSpec, frames: tf.Tensor | None = None) -> tf.Tensor:
    """Log-mel spectrogram of whole clips, as librosa computes it.

    Agrees with ``librosa.feature.melspectrogram`` and ``power_to_db`` within
    1.5e-4 dB ('db'), so that stored and served spectrograms are the same.

    Parameters
    ----------
    audio : tf.Tensor, float32 [batch, samples]
        Clips at the spec's sample rate, full scale 1.
    spec : AudioSpec
        The front end. With compression 'db' the floor lies ``top_db`` under the
        maximum of each clip, not of the batch.
    frames : tf.Tensor, int32 [batch], optional
        Frames of each clip, where zeros fill it up to the length of the others; those that
        follow have no part in its maximum.

    Returns
    -------
    tf.Tensor, float32 [batch, 1 + samples // hop_length, n_mels]
        In dB for 'db', in powers of ten for 'log10'.
    """
    half = spec.n_fft // 2
    spectrum = tf.signal.stft(
        tf.pad(audio, [[0, 0], [half, spec.n_fft - half]]),
        frame_length=spec.n_fft,
        frame_step=spec.hop_length,
        fft_length=spec.n_fft,
    )
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    mel = tf.matmul(power, tf.constant(mel_filters(spec).T))
    if spec.compression == "log10":
        return tf.math.log(10000.0 * mel + 1.0) / math.log(10.0)
    level = 10.0 / math.log(10.0) * tf.math.log(tf.maximum(mel, spec.amin))
    if frames is None:
        return tf.maximum(level, clip_floor(level, spec))
    own = tf.range(tf.shape(level)[1])[None, :, None] < frames[:, None, None]
    lowest = 10.0 * math.log10(spec.amin)
    return tf.maximum(level, clip_floor(tf.where(own, level, lowest), spec))


def clip_floor(spectrogram: tf.Tensor, spec: AudioSpec) -> tf.Tensor:
    """What silence is in a clip's spectrogram.

    Parameters
    ----------
    spectrogram : tf.Tensor, float32 [batch, frames, n_mels]
        Spectrograms of whole clips.
    spec : AudioSpec
        Their front end.

    Returns
    -------
    tf.Tensor, float32 [batch, 1, 1]
        'db': ``top_db`` under the clip's maximum, but not under the level of
        ``amin``; 'log10': 0.
    """
    loudest = tf.reduce_max(spectrogram, axis=[1, 2], keepdims=True)
    if spec.compression == "log10":
        return tf.zeros_like(loudest)
    return tf.maximum(loudest - spec.top_db, 10.0 * math.log10(spec.amin))
