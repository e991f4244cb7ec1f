"""From whole clips to tags: front end, windows, model and labels together."""

from __future__ import annotations

import functools
import zipfile
from typing import Any

import keras
import tensorflow as tf

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.config import Config
from schemas.saved_model import ModelInfo
from schemas.tag_choice import select_tags
from trainer.input.log_mel import clip_floor, log_mel
from trainer.input.windows import cut_unequal, cut_windows, pad_clips, window_starts
from trainer.models import layers  # noqa: F401  Keras must know our layers to read a checkpoint

_AUDIO = tf.TensorSpec([None, None], tf.float32, name="audio")
_LENGTHS = tf.TensorSpec([None], tf.int32, name="lengths")
_SPECTROGRAM = tf.TensorSpec([None, None, None], tf.float32, name="spectrogram")


_AUDIO_ERROR = "audio must be finite samples of full scale 1, none beyond 8 times that"
_LENGTHS_ERROR = "lengths must be from 0 to the number of samples; they are"
LOUDEST = 8.0  # full scale is 1: what lies beyond is no audio, or of another scale


class Tagger:
    """A trained model with all that stands between it and raw audio.

    Evaluation calls these methods, an exported model has them as signatures. All
    clips of a batch are equally long, but for :meth:`clips`. Samples that are no audio (not
    finite, or beyond ±`LOUDEST`) are an error of the call; in LiteRT, which knows no errors,
    every score of the clip is NaN. Memory grows with the number of windows in a
    batch: hour-long audio is for the caller to stream.

    Parameters
    ----------
    model : keras.Model
        Scores of windows, with a layer named "embedding", see
        :func:`trainer.models.registry.build_model`.
    spec : AudioSpec
        The signal front end.
    frontend : {'waveform', 'log-mel-spectrogram'}
        What the model's windows are made of.
    window : int
        Samples (waveform) or frames (log-mel) of a window.
    labels : list of str
        Tag names in the order of the scores.
    model_config : dict
        How the model was made, for the record.
    licence : str
        Under what terms the weights may be used.
    thresholds : list of float, optional
        For each label the score from which on a clip has it.

    Attributes
    ----------
    info : ModelInfo
        All of the above but the model.
    weights : list of tf.Variable
        The variables that the methods read; those of `model`, not copies.
    windows : tf.function
        Scores and embeddings of windows that the caller has cut, of any number of
        tracks: ``windows`` float32 [batch, window] (waveform) or [batch, window, n_mels]
        gives ``scores`` [batch, tags], ``embeddings`` [batch, features] and ``tags``.
    """

    def __init__(
        self,
        model: keras.Model,
        spec: AudioSpec,
        frontend: str,
        window: int,
        labels: list[str],
        model_config: dict[str, Any],
        licence: str = "",
        thresholds: list[float] | None = None,
    ) -> None:
        if model.output_shape[-1] != len(labels):
            raise UsageError(
                f"{len(labels)} labels for a model of {model.output_shape[-1]} outputs"
            )
        self.info = ModelInfo(
            list(labels), spec, frontend, window, dict(model_config), licence, thresholds
        )
        network = keras.Model(model.inputs, [model.output, model.get_layer("embedding").output])
        self.weights = [variable.value for variable in network.weights]
        # One function for all methods: the graph of the model is exported once.
        signature = [tf.TensorSpec(network.inputs[0].shape, tf.float32)]
        self._network = tf.function(
            functools.partial(network, training=False), input_signature=signature
        )
        cut = tf.TensorSpec(network.inputs[0].shape, tf.float32, name="windows")
        self.windows = tf.function(self._windows, input_signature=[cut])

    @tf.function(input_signature=[_AUDIO])
    def serve(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of clips, the mean over their windows.

        Parameters
        ----------
        audio : tf.Tensor, float32 [batch, samples]
            Mono clips at the spec's sample rate, full scale 1. Clips shorter than a
            window are padded with zeros at their end.

        Returns
        -------
        dict
            ``scores`` float32 [batch, tags] and ``tags`` string [tags].
        """
        scores, _ = self._run(self._clips(audio))
        return {
            "scores": tf.reduce_mean(scores, axis=1) + checked(audio)[:, None],
            "tags": self._tags(),
        }

    @tf.function(input_signature=[_AUDIO, _LENGTHS])
    def clips(self, audio: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of clips of unequal lengths: of each those that it has alone.

        Parameters
        ----------
        audio : tf.Tensor, float32 [batch, samples]
            Mono clips at the spec's sample rate, full scale 1, filled up at their end; what
            with is not looked at.
        lengths : tf.Tensor, int32 [batch]
            Samples of each clip, 0 to `samples`.

        Returns
        -------
        dict
            ``scores`` float32 [batch, tags] and ``tags`` string [tags].
        """
        info = self.info
        samples = tf.shape(audio)[1]
        fits = (lengths >= 0) & (lengths <= samples)
        known = [tf.debugging.Assert(tf.reduce_all(fits), [_LENGTHS_ERROR, lengths])]
        with tf.control_dependencies(known):
            faults = tf.where(fits, 0.0, float("nan"))  # as `checked` has them
        audio = tf.where(tf.range(samples)[None] < lengths[:, None], audio, 0.0)
        lengths = tf.minimum(lengths, samples)
        lengths = tf.maximum(lengths, info.min_samples)
        clips = pad_clips(audio, info.min_samples)
        if info.frontend == LOG_MEL:
            lengths = 1 + lengths // info.spec.hop_length
            clips = log_mel(clips, info.spec, lengths)
        windows, shares = cut_unequal(clips, lengths, info.window)
        scores, _ = self._score(windows)
        means = tf.reduce_sum(scores * tf.expand_dims(shares, 2), axis=1)
        return {"scores": means + (checked(audio) + faults)[:, None], "tags": self._tags()}

    @tf.function(input_signature=[_AUDIO])
    def taggram(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of each window of clips, as :meth:`serve` averages them.

        Returns
        -------
        dict
            ``scores`` float32 [batch, windows, tags], ``starts`` float32 [windows]
            in seconds and ``tags`` string [tags].
        """
        clips = self._clips(audio)
        scores, _ = self._run(clips)
        info = self.info
        step = 1 if info.frontend == WAVEFORM else info.spec.hop_length
        starts = window_starts(tf.shape(clips)[1], info.window) * step
        # LiteRT divides no float64.
        seconds = tf.cast(starts, tf.float32) / info.spec.sample_rate
        scores += checked(audio)[:, None, None]
        return {"scores": scores, "starts": seconds, "tags": self._tags()}

    @tf.function(input_signature=[_AUDIO])
    def embeddings(self, audio: tf.Tensor) -> dict[str, tf.Tensor]:
        """The features under the output layer, the mean over a clip's windows.

        Returns
        -------
        dict
            ``embeddings`` float32 [batch, features] and ``tags`` string [tags].
        """
        _, embeddings = self._run(self._clips(audio))
        return {
            "embeddings": tf.reduce_mean(embeddings, axis=1) + checked(audio)[:, None],
            "tags": self._tags(),
        }

    @tf.function(input_signature=[_SPECTROGRAM])
    def features(self, spectrogram: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of clips from their stored log-mel spectrograms.

        Parameters
        ----------
        spectrogram : tf.Tensor, float32 [batch, frames, n_mels]
            Spectrograms of whole clips by the spec. Those shorter than a window are
            padded with what silence is in the clip.

        Returns
        -------
        dict
            ``scores`` float32 [batch, tags] and ``tags`` string [tags].

        Raises
        ------
        UsageError
            If the model has the waveform front end.
        """
        info = self.info
        if info.frontend != LOG_MEL:
            raise UsageError("a model with the waveform front end needs audio, not spectrograms")
        clips = tf.ensure_shape(spectrogram, [None, None, info.spec.n_mels])
        clips = pad_clips(clips, info.window, clip_floor(clips, info.spec))
        scores, _ = self._run(clips)
        return {"scores": tf.reduce_mean(scores, axis=1), "tags": self._tags()}

    @tf.function(input_signature=[_AUDIO])
    def _clips(self, audio: tf.Tensor) -> tf.Tensor:
        """Samples or spectrograms, at least a window long."""
        info = self.info
        audio = pad_clips(audio, info.min_samples)
        return audio if info.frontend == WAVEFORM else log_mel(audio, info.spec)

    def _run(self, clips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and embeddings of all windows, each [batch, windows, ...]."""
        return self._score(cut_windows(clips, self.info.window))

    def _score(self, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and embeddings of windows [batch, windows, ...], each [batch, windows, ...]."""
        count = tf.shape(windows)[:2]
        inputs = tf.reshape(windows, tf.concat([[-1], tf.shape(windows)[2:]], axis=0))
        return tuple(
            tf.reshape(tf.cast(each, tf.float32), tf.concat([count, each.shape[1:]], axis=0))
            for each in self._network(inputs)
        )

    def _windows(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, embeddings = (tf.cast(each, tf.float32) for each in self._network(windows))
        if self.info.frontend == WAVEFORM:
            scores += checked(windows)[:, None]
        return {"scores": scores, "embeddings": embeddings, "tags": self._tags()}

    def _tags(self) -> tf.Tensor:
        return tf.constant(self.info.labels)


def checked(audio: tf.Tensor) -> tf.Tensor:
    """See that samples are audio.

    Parameters
    ----------
    audio : tf.Tensor, float32 [batch, samples]

    Returns
    -------
    tf.Tensor, float32 [batch]
        Zeros to be added to what is made of the clips; NaN for a clip that is no audio, where
        there are no errors (LiteRT leaves assertions out).

    Raises
    ------
    tf.errors.InvalidArgumentError
        If a sample is not finite or beyond ±`LOUDEST`.
    """
    is_audio = tf.reduce_all(tf.abs(audio) <= LOUDEST, axis=1)
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_audio), [_AUDIO_ERROR])]):
        return tf.where(is_audio, 0.0, float("nan"))


def config_tagger(
    model: keras.Model,
    config: Config,
    licence: str = "",
    thresholds: list[float] | None = None,
) -> Tagger:
    """The tagger of a model that was trained under a resolved configuration.

    Parameters
    ----------
    model : keras.Model
        Its input shape gives the window.
    config : Config
        As a job directory's ``config.json`` holds it.
    licence : str
        Under what terms the weights may be used.
    thresholds : list of float, optional
        See :func:`trainer.evaluation.thresholds.learn_thresholds`.

    Raises
    ------
    UsageError
        If the model has not the outputs or the front end of the configuration.
    """
    labels, _ = select_tags(config.tags, config.tfrecords.vocabulary)
    frontend = config.frontend
    if len(model.input_shape) != (2 if frontend == WAVEFORM else 3):
        raise UsageError(f"the model takes windows {model.input_shape}: that is no {frontend}")
    window = model.input_shape[1]
    return Tagger(
        model,
        config.tfrecords.spec,
        frontend,
        window,
        labels,
        config.to_json(),
        licence,
        thresholds,
    )


def read_checkpoint(path: str) -> keras.Model:
    """Read a model that a training saved, in float32 whatever it was trained in.

    Parameters
    ----------
    path : str
        A ``.keras`` file.

    Raises
    ------
    UsageError
        If it is none, or damaged.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{path} cannot be read as a model: {reason}") from error
    described = model.to_json()
    if "mixed_" not in described:
        return model
    for policy in ("mixed_float16", "mixed_bfloat16"):
        described = described.replace(f'"{policy}"', '"float32"')
    full = keras.models.model_from_json(described)
    full.set_weights(model.get_weights())
    return full
