"""Which tracks, from which shards, with which tags."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from schemas.audio_spec import WAVEFORM, AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.config import Config
from schemas.example import read_tids
from schemas.manifest import Dataset
from schemas.tag_choice import select_tags


@dataclasses.dataclass(frozen=True)
class Source:
    """The shards of one part and what is to be made of their records.

    Attributes
    ----------
    shards : list of str
        Paths of the TFRecord files, in order.
    records : int
        Tracks that are read of them.
    audio_format : {'waveform', 'log-mel-spectrogram'}
        What they hold.
    spec : AudioSpec
        The signal front end.
    frontend : {'waveform', 'log-mel-spectrogram'}
        What the model looks at.
    window : int
        Samples (waveform) or frames (log-mel) of a window.
    names : list of str
        The tags that are learnt, in the order of the targets.
    columns : list of int
        For each tag of the records the target that it counts for, or -1.
    cache_gib : float
        Spectrograms that are made here stay in memory if they take at most this.
    tids : list of str, optional
        The tracks that are read; all by default.
    interleave : int
        Shards read side by side, so that neighbours in a batch come from several.
    """

    shards: list[str]
    records: int
    audio_format: str
    spec: AudioSpec
    frontend: str
    window: int
    names: list[str]
    columns: list[int]
    cache_gib: float = 0.0
    tids: list[str] | None = None
    interleave: int = 16

    @property
    def cached(self) -> bool:
        """Whether the tracks stay in memory once their spectrograms are made."""
        if self.frontend == self.audio_format:
            return False  # reading costs next to nothing, and the system caches files
        samples = sum(os.path.getsize(shard) for shard in self.shards) / 2
        size = samples / self.spec.hop_length * self.spec.n_mels * 4
        return size <= self.cache_gib * 2**30


def make_source(
    dataset: Dataset, shards: Sequence[str], config: Config, records: int | None = None
) -> Source:
    """A source for shards with the records that a data set's manifest describes.

    Parameters
    ----------
    dataset : Dataset
        Says what the records hold.
    shards : sequence of str
        Paths of the files; they need not be the data set's own.
    config : Config
        Filled in for `dataset`, see :func:`schemas.config.fill`.
    records : int, optional
        Tracks in the shards, if that is known; they are counted otherwise.

    Raises
    ------
    UsageError
        If a shard is missing, the tags or the window do not fit or no track is left.
    RunError
        If a shard is damaged, as far as that is seen without reading the audio.
    """
    spec, training, frontend = dataset.spec, config.training, config.frontend
    for shard in shards:
        if not os.path.isfile(shard):
            raise UsageError(f"{shard} is missing: the data set is damaged, build it again")
    names, columns = select_tags(config.tags, dataset.vocabulary)
    seconds = training.window_seconds
    window = (spec.window_samples if frontend == WAVEFORM else spec.window_frames)(seconds)
    if window < 1:
        raise UsageError(f"model-training.window_seconds is {seconds}: that is less than a frame")
    tids = select_tracks(shards, training.with_tids, training.without_tids)
    if tids is not None:
        records = len(tids)
    elif records is None:
        records = sum(len(shard_tids(shard)) for shard in shards)
    return Source(
        shards=list(shards),
        records=records,
        audio_format=dataset.audio_format,
        spec=spec,
        frontend=frontend,
        window=window,
        names=names,
        columns=columns,
        cache_gib=training.cache_gib,
        tids=tids,
        interleave=training.interleave,
    )


def select_tracks(
    shards: Sequence[str], with_tids: list[str] | str | None, without_tids: list[str] | str | None
) -> list[str] | None:
    """The ids that two lists leave of the shards' tracks, or None where there is no list.

    Parameters
    ----------
    shards : sequence of str
    with_tids, without_tids : list of str or str, optional
        Only these, and none of those: ids, or a file of them (:func:`listed_tids`).
        An id that no shard holds has no effect.

    Raises
    ------
    UsageError
        If a file cannot be read, or no track is left.
    """
    if with_tids is None and without_tids is None:
        return None
    chosen = None if with_tids is None else listed_tids(with_tids, "with_tids")
    refused = listed_tids(without_tids or [], "without_tids")
    tids = [tid for shard in shards for tid in shard_tids(shard)]
    left = [tid for tid in tids if (chosen is None or tid in chosen) and tid not in refused]
    if not left:
        where = os.path.dirname(shards[0]) if shards else "no shards"
        raise UsageError(
            f"model-training.with_tids and without_tids leave none of the {len(tids):,} tracks "
            f"in {where}: allowed are lists that leave one"
        )
    return left


def listed_tids(given: list[str] | str, key: str) -> frozenset[str]:
    """Ids given as a list, or as a file with one a line.

    Of a line with commas the first field counts; a heading ``track_id`` or ``tid`` and
    empty lines do not.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    if not isinstance(given, str):
        return frozenset(given)
    try:
        with open(given, encoding="utf8") as stream:
            lines = [line.partition(",")[0].strip().strip('"') for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UsageError(f"model-training.{key}: {given} cannot be read: {reason}") from error
    return frozenset(lines) - {"", "track_id", "tid"}


def shard_tids(shard: str) -> list[str]:
    """Ids of a shard's tracks in order, read without their audio.

    Raises
    ------
    RunError
        If the shard is damaged.
    """
    try:
        return list(read_tids(shard))
    except ValueError as error:
        raise RunError(f"{shard} is damaged ({error}): build the data set again") from error


def part_source(dataset: Dataset, part: str, config: Config) -> Source:
    """The source of a part of a data set under a filled-in configuration.

    ``with_tids`` and ``without_tids`` choose among its tracks.

    Raises
    ------
    UsageError, RunError
        As :func:`make_source` does.
    """
    return make_source(dataset, dataset.shards(part), config, dataset.records(part))
