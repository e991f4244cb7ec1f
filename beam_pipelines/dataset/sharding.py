"""Plan, second half: songs with tag numbers, ranked by MD5 and dealt to the shards."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.dataset import join, rules
from beam_pipelines.dataset.rules import Candidate
from beam_pipelines.runtime import storage
from schemas.manifest import PARTS

MOST_SONGS_A_SHARD = 5000
SHARD_ROWS = join.SONG_PIECE.set(
    join.SONG_PIECE.get_field_index("tags"), pa.field("tags", pa.list_(pa.int32()))
)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file to be written.

    Attributes
    ----------
    name : str
        ``part/format-00000-of-00080.tfrecord``, numbered per part.
    part : str
        train, validation or test.
    planned : int
        Songs dealt to it.
    """

    name: str
    part: str
    planned: int

    @property
    def key(self) -> str:
        """Name of its files in the work folder."""
        return self.name.replace("/", "-").removesuffix(".tfrecord")


def tag_lists(piece: str) -> Iterator[list[str]]:
    """Tags of each planned song of a piece: those that any of its copies has."""
    for _, copies in join.read_songs(piece):
        yield sorted({tag for copy in copies for tag in copy.tags})


def count_parts(
    pieces: Sequence[str], numbers: Mapping[str, int], keep_untagged: bool
) -> list[collections.Counter]:
    """Songs that stay, by part, for each piece."""
    counts = []
    for path in pieces:
        counter: collections.Counter = collections.Counter()
        for _, copies in join.read_songs(path):
            kept, _ = join.encode_tags(copies, numbers, keep_untagged)
            if kept:
                counter[kept[0].split] += 1
        counts.append(counter)
    return counts


def shard_names(audio_format: str, planned: Mapping[str, int], num_shards: int) -> list[Shard]:
    """The shards of all parts, in order.

    Parameters
    ----------
    audio_format : str
        Begins each file's name.
    planned : mapping
        Part to songs.
    num_shards : int
        Total over the parts.
    """
    shards = []
    for part, n in rules.divide_shards(num_shards, planned).items():
        for i in range(n):
            name = f"{part}/{audio_format}-{i:05d}-of-{n:05d}.tfrecord"
            shards.append(Shard(name, part, planned[part] // n + (i < planned[part] % n)))
    return shards


def shard_advice(planned: Mapping[str, int], num_shards: int, parallelism: int) -> list[str]:
    """Warnings about a number of shards that makes slow work, each with a better number."""
    songs = sum(planned.values())
    if num_shards < 2 * parallelism and songs > num_shards:
        return [
            f"--num_shards {num_shards} keeps {parallelism} workers waiting for each other; "
            f"{2 * parallelism} or more do not"
        ]
    if songs > MOST_SONGS_A_SHARD * num_shards:
        better = -(-songs // MOST_SONGS_A_SHARD)
        return [
            f"--num_shards {num_shards} makes shards of {songs // num_shards} songs, much work "
            f"to do again after a failure; {better} or more are better"
        ]
    return []


def _offsets(counts: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Rank of the first song of each piece in its part."""
    running, offsets = dict.fromkeys(PARTS, 0), []
    for counter in counts:
        offsets.append(dict(running))
        for part in PARTS:
            running[part] += counter.get(part, 0)
    return offsets


class DealPiece(beam.DoFn):
    """Songs of one piece with the key of their shard."""

    def __init__(
        self, numbers: Mapping[str, int], keep_untagged: bool, shards: Mapping[str, Sequence[str]]
    ) -> None:
        self.numbers, self.keep_untagged, self.shards = numbers, keep_untagged, shards

    def process(self, element):
        path, ranks = element
        ranks = dict(ranks)
        for song, copies in join.read_songs(path):
            kept, rejects = join.encode_tags(copies, self.numbers, self.keep_untagged)
            for reject in rejects:
                yield pvalue.TaggedOutput(join.REJECTS, tuple(reject.row().values()))
            if kept:
                keys = self.shards[kept[0].split]
                rank = ranks[kept[0].split]
                ranks[kept[0].split] += 1
                for number, copy in enumerate(kept):
                    yield keys[rank % len(keys)], (rank, number, song, tuple(copy))


class WriteShardPlan(beam.DoFn):
    """Write the rows of one shard, in rank order."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, element):
        key, songs = element
        rows = [(song, *copy) for _, _, song, copy in sorted(songs)]
        storage.write_table(plan_path(self.folder, key), storage.make_table(rows, SHARD_ROWS))
        yield key


def plan_path(folder: str, key: str) -> str:
    """Where a shard's rows lie in the work folder."""
    return storage.join(folder, f"plan-{key}.parquet")


def deal_songs(
    pipeline: beam.Pipeline,
    pieces: Sequence[str],
    counts: Sequence[Mapping[str, int]],
    shards: Sequence[Shard],
    numbers: Mapping[str, int],
    keep_untagged: bool,
    folder: str,
) -> None:
    """Put the steps of the dealing into a pipeline.

    Parameters
    ----------
    pipeline : beam.Pipeline
        Runs when its context ends.
    pieces : sequence of str
        Files of songs, in MD5 order.
    counts : sequence of mapping
        Of each piece, part to songs that stay.
    shards : sequence of Shard
        All shards.
    numbers : mapping
        Tag to number.
    keep_untagged : bool
        Whether songs without a tag stay.
    folder : str
        Gets ``plan-*.parquet`` (a shard's rows) and ``dealt-*.parquet`` (rejects).
    """
    keys: dict[str, list[str]] = {part: [] for part in PARTS}
    for shard in shards:
        keys[shard.part].append(shard.key)
    starts = [
        (path, sorted(offset.items()))
        for path, offset in zip(pieces, _offsets(counts), strict=True)
    ]
    dealt = (
        pipeline
        | "Pieces" >> beam.Create(starts)
        | "Spread the pieces" >> beam.Reshuffle()
        | "Number the tags and deal"
        >> beam.ParDo(DealPiece(numbers, keep_untagged, keys)).with_outputs(
            join.REJECTS, main="rows"
        )
    )
    _ = (
        dealt.rows
        | "Group by shard" >> beam.GroupByKey()
        | "Write the shards' rows" >> beam.ParDo(WriteShardPlan(folder))
    )
    _ = (
        dealt[join.REJECTS]
        | "Cut rejects into pieces" >> beam.Map(join.key_rejects, len(pieces))
        | "Group reject pieces" >> beam.GroupByKey()
        | "Write reject pieces" >> beam.ParDo(join.WriteRejects(folder, "dealt"))
    )


def read_plan(folder: str, key: str) -> Iterator[tuple[str, list[Candidate]]]:
    """A shard's songs in order, each with its candidates, tags as numbers."""
    return join.read_songs(plan_path(folder, key))


def describe(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """The shards as JSON."""
    return [dataclasses.asdict(shard) for shard in shards]
