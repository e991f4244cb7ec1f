"""Plan: songs with tag numbers, ranked by MD5 and dealt to the shards."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from beam_pipelines.dataset import rules, song_pieces
from beam_pipelines.dataset.layout import Shard, plan_path
from beam_pipelines.dataset.rules import Candidate
from beam_pipelines.runtime import storage
from beam_pipelines.sources import source
from schemas.manifest import PARTS
from schemas.rejects import Reason, Reject

MOST_SONGS_A_SHARD = 5000
SHARD_ROWS = song_pieces.SONG_PIECE.set(
    song_pieces.SONG_PIECE.get_field_index("tags"), pa.field("tags", pa.list_(pa.int32()))
)


def tag_lists(piece: str) -> Iterator[list[str]]:
    """Tags of each planned song of a piece: those that any of its copies has."""
    for _, copies in song_pieces.read_songs(piece):
        yield sorted({tag for copy in copies for tag in copy.tags})


def count_parts(
    pieces: Sequence[str], numbers: Mapping[str, int], keep_untagged: bool
) -> list[collections.Counter]:
    """Songs that stay, by part, for each piece; and by (part, tag number) those that have a tag.

    Of a song with several copies the first one counts. Songs without a tag are (part, None).
    """
    counts = []
    for path in pieces:
        counter: collections.Counter = collections.Counter()
        for _, copies in song_pieces.read_songs(path):
            kept, _ = encode_tags(copies, numbers, keep_untagged)
            if kept:
                counter[kept[0].split] += 1
                counter.update((kept[0].split, number) for number in kept[0].tags or [None])
        counts.append(counter)
    return counts


def class_advice(counts: Mapping[Any, int], tags: Sequence[str], n_named: int = 5) -> list[str]:
    """Warnings about parts from which nothing can be learnt or measured.

    Parameters
    ----------
    counts : mapping
        The sum of :func:`count_parts`.
    tags : sequence of str
        By number.
    n_named : int
        Tags that a warning names.
    """
    advice = []
    for part in PARTS:
        n = counts.get(part, 0)
        everywhere = [tag for k, tag in enumerate(tags) if counts.get((part, k), 0) == n]
        nowhere = [tag for k, tag in enumerate(tags) if not counts.get((part, k), 0)]
        if n and tags and len(everywhere) + len(nowhere) == len(tags):
            advice.append(f"in {part} every tag is on all or none of the {n} tracks: no ROC-AUC")
        elif part == "train" and n and everywhere:
            named = ", ".join(everywhere[:n_named]) + ", ..." * (len(everywhere) > n_named)
            advice.append(f"in {part} every track has {named}: there is no negative to learn from")
    return advice


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
    for part, n in divide_shards(num_shards, planned).items():
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

    def process(self, element: Any) -> Iterator[Any]:
        path, ranks = element
        ranks = dict(ranks)
        for song, copies in song_pieces.read_songs(path):
            kept, rejects = encode_tags(copies, self.numbers, self.keep_untagged)
            for reject in rejects:
                yield pvalue.TaggedOutput(source.REJECTS, source.pack(reject))
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

    def process(self, element: Any) -> Iterator[Any]:
        key, songs = element
        rows = [(song, *copy) for _, _, song, copy in sorted(songs)]
        storage.write_table(plan_path(self.folder, key), storage.make_table(rows, SHARD_ROWS))
        yield key


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
            source.REJECTS, main="rows"
        )
    )
    _ = (
        dealt.rows
        | "Group by shard" >> beam.GroupByKey()
        | "Write the shards' rows" >> beam.ParDo(WriteShardPlan(folder))
    )
    _ = (
        dealt[source.REJECTS]
        | "Cut rejects into pieces" >> beam.Map(song_pieces.key_rejects, len(pieces))
        | "Group reject pieces" >> beam.GroupByKey()
        | "Write reject pieces" >> beam.ParDo(song_pieces.WriteRejects(folder, "dealt"))
    )


def read_plan(folder: str, key: str) -> Iterator[tuple[str, list[Candidate]]]:
    """A shard's songs in order, each with its candidates, tags as numbers."""
    return song_pieces.read_songs(plan_path(folder, key))


def describe(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    """The shards as JSON."""
    return [dataclasses.asdict(shard) for shard in shards]


def divide_shards(num_shards: int, planned: Mapping[str, int]) -> dict[str, int]:
    """Divide the shards over the parts by the songs planned.

    Parameters
    ----------
    num_shards : int
        The total that was asked for.
    planned : mapping
        Part to songs.

    Returns
    -------
    dict
        Part to shards: at least one for a part that is not empty, never more
        than it has songs, the rest by largest remainder.
    """
    total = sum(planned.values())
    exact = {part: num_shards * planned[part] / total if total else 0.0 for part in PARTS}
    shares = {part: int(exact[part]) for part in PARTS}
    by_remainder = sorted(PARTS, key=lambda part: (shares[part] - exact[part], part))
    for part in by_remainder[: num_shards - sum(shares.values())]:
        shares[part] += 1
    shares = {part: min(planned[part], max(1, shares[part])) for part in PARTS}
    while sum(shares.values()) > max(num_shards, sum(1 for part in PARTS if planned[part])):
        shares[max(PARTS, key=lambda part: shares[part])] -= 1
    return shares


def encode_tags(
    copies: Iterable[Candidate], numbers: Mapping[str, int], keep_untagged: bool
) -> tuple[list[Candidate], list[Reject]]:
    """Replace tag names by their numbers in the vocabulary.

    Parameters
    ----------
    copies : iterable of Candidate
        Copies of one song, in order.
    numbers : mapping
        Tag to number; a tag that is not in it is left out.
    keep_untagged : bool
        Whether a copy without any tag of the vocabulary stays.

    Returns
    -------
    kept : list of Candidate
        With `tags` as sorted numbers.
    rejects : list of Reject
        Copies that have only tags outside of the vocabulary.
    """
    kept, rejects = [], []
    for copy in copies:
        tags = sorted(numbers[tag] for tag in copy.tags if tag in numbers)
        if tags or keep_untagged:
            kept.append(copy._replace(tags=tags))
        else:
            rejects += rules.reject_pair(
                copy, copy.path, Reason.NO_TAG, "none of its tags is in the vocabulary"
            )
    return kept, rejects
