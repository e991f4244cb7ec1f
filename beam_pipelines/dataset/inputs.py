"""Look: check the inputs of a build, list the audio, clean the tag table, fingerprint all.

Everything that can be wrong with the inputs is said here, before anything is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import soundfile

from beam_pipelines.audio import filters
from beam_pipelines.audio.filters import Limits, failed_filter, failure_detail
from beam_pipelines.audio.silence import SilenceStats
from beam_pipelines.dataset import join, rules
from beam_pipelines.million_song import lastfm_db, summary_file
from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.scanning.listing import AudioFile, Listing, list_audio
from beam_pipelines.scanning.scan_table import read_scan
from beam_pipelines.sources import labelled
from beam_pipelines.tags.cleaning import clean_table, ignored_lines, raw_to_clean
from beam_pipelines.tags.lists import TagLists, default_tag_lists, read_tag_lists
from schemas.common.errors import UsageError
from schemas.rejects import Reason
from schemas.split_file import parse_split

# Libraries whose version can change a byte of the output.
_VERSIONED = ("librosa", "numpy", "pyarrow", "scipy", "soxr", "mutagen")
_UNSHAPING = {
    *("audio_dir", "msd_summary", "lastfm_db", "mismatches", "duplicates", "output"),
    *("overwrite", "dry_run", "verbose", "tag_lists", "split", "scan", "manifest"),
}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a build was given, looked at.

    Attributes
    ----------
    listing : Listing
        Audio files.
    scan : pa.Table or None
        What an earlier scan measured; None without one.
    n_songs, n_tids : int
        Rows of the summary, tracks in the tag database.
    raw_to_clean : mapping or None
        Raw tag number to clean tag; None takes tags as they are.
    ignored_names : mapping
        Names of the tag lists that had no effect, by reason.
    mismatches : tuple of str
        Track ids, sorted.
    duplicates : mapping
        Track id to its group of copies.
    split : mapping or None
        Track id to part.
    options, fingerprints : dict
        What shapes the contents: options, and the inputs' sizes and hashes.
    plan_id : str
        Hash of both, and of the versions that matter.
    labelled : list of Labelled or None
        The rows of --manifest; they then stand for the summary and the tag database.
    """

    listing: Listing
    scan: pa.Table | None
    n_songs: int
    n_tids: int
    raw_to_clean: Mapping[int, str] | None
    ignored_names: Mapping[str, tuple[str, ...]]
    mismatches: tuple[str, ...]
    duplicates: Mapping[str, str]
    split: Mapping[str, str] | None
    options: dict[str, Any]
    fingerprints: dict[str, Any]
    plan_id: str
    labelled: list[labelled.Labelled] | None = None

    @property
    def n_files(self) -> int:
        """Number of listed files."""
        return len(self.listing.files)

    def describe(self) -> dict[str, Any]:
        """What of it stands in the plan, as JSON values."""
        return {
            "plan_id": self.plan_id,
            "n_files": self.n_files,
            "n_songs": self.n_songs,
            "ignored": self.listing.ignored,
            "ignored_names": dict(self.ignored_names),
            "split": {"by": self.options["split"], "percent": self.options["split_percent"]},
            "options": self.options,
            "fingerprints": self.fingerprints,
        }

    def to_join(self, args: argparse.Namespace, work: str) -> join.JoinInputs:
        """What the join reads; puts the listing into the work folder."""
        judged = judge_files(self.listing, self.scan, filters.limits(args))
        listing = storage.join(work, "listing.parquet")
        if self.labelled:
            tags = labelled.popularity(self.labelled)
            judged = labelled.labelled_table(self.labelled, judged, tags, self.raw_to_clean)
        storage.write_table(listing, judged, join.ROWS_A_RANGE)
        return join.JoinInputs(
            listing=listing,
            n_files=self.n_files,
            summary=args.msd_summary,
            n_songs=self.n_songs,
            lastfm_db=args.lastfm_db,
            n_tids=self.n_tids,
            raw_to_clean=self.raw_to_clean,
            val_above=args.val_above,
            mismatches=self.mismatches,
            duplicates=self.duplicates,
            split=self.split,
            split_by=self.options["split"],
            split_percent=args.split_percent,
            rules=rules.Rules(args.keep_untagged, self.split is not None),
            is_labelled=bool(self.labelled),
        )


def look(args: argparse.Namespace) -> Inputs:
    """Check and read the inputs of a build.

    Raises
    ------
    UsageError
        At the first that cannot be used.
    """
    lists = _tag_lists(args)
    found = _look_labelled(args, lists) if args.manifest else _look_msd(args, lists)
    shaping = {name: value for name, value in vars(args).items() if name not in _UNSHAPING}
    shaping["split"] = "file" if found["split"] is not None else args.split
    fingerprints = _fingerprints(args, found["listing"], lists)
    versions = {name: importlib.metadata.version(name) for name in _VERSIONED}
    versions["libsndfile"] = soundfile.__libsndfile_version__
    plan_id = _hash([shaping, fingerprints, versions])
    fingerprints |= {"versions": versions}
    return Inputs(**found, options=shaping, fingerprints=fingerprints, plan_id=plan_id)


def _look_msd(args: argparse.Namespace, lists: TagLists | None) -> dict[str, Any]:
    """The Million Song Dataset's files, as fields of :class:`Inputs`."""
    with storage.local_copy(_there(args.msd_summary, "--msd_summary")) as summary:
        n_songs = summary_file.check_summary(summary)
    mismatches = _text(args.mismatches, "--mismatches").split("\n")
    duplicates = _text(args.duplicates, "--duplicates").split("\n")
    split = None
    if args.split not in ("artist", "track"):
        split = parse_split(storage.read_text(args.split, "--split"), args.split)
    scan = read_scan(args.scan, "--scan") if args.scan else None
    with Progress("list the audio files"):
        listing = list_audio(args.audio_dir) if args.audio_dir else list_scan(scan)
    with storage.local_copy(_there(args.lastfm_db, "--lastfm_db")) as db:
        lastfm_db.validate(db)
        n_tids = lastfm_db.n_tids(db)
        mapping, ignored = _clean(lastfm_db.popularity(db), lists, args) if lists else (None, {})
    return {
        "listing": listing,
        "scan": scan,
        "n_songs": n_songs,
        "n_tids": n_tids,
        "raw_to_clean": mapping,
        "ignored_names": ignored,
        "mismatches": tuple(sorted(set(summary_file.parse_mismatches(mismatches)))),
        "duplicates": rules.union_find(summary_file.parse_duplicates(duplicates)),
        "split": split,
    }


def _look_labelled(args: argparse.Namespace, lists: TagLists | None) -> dict[str, Any]:
    """A CSV file of one's own and the files that it names, as fields of :class:`Inputs`."""
    rows = labelled.parse_labelled(storage.read_text(args.manifest, "--manifest"), args.manifest)
    with Progress("look for the audio files"):
        listing = labelled.list_labelled(rows, args.audio_dir)
    mapping, ignored = _clean(labelled.popularity(rows), lists, args) if lists else (None, {})
    return {
        "listing": listing,
        "scan": None,
        "n_songs": len(rows),
        "n_tids": 0,
        "raw_to_clean": mapping,
        "ignored_names": ignored,
        "mismatches": (),
        "duplicates": {},
        "split": {row.track_id: row.part for row in rows} if rows[0].part else None,
        "labelled": rows,
    }


def _clean(
    tags: Sequence[RawTag], lists: TagLists, args: argparse.Namespace
) -> tuple[dict[int, str], Mapping[str, tuple[str, ...]]]:
    """Number of a raw tag to its clean tag, and the names of the lists that had no effect."""
    table = clean_table(tags, lists, args.tag_threshold, args.tag_pool_threshold)
    for line in ignored_lines(table) if args.tag_lists else ():
        print(f"warning: --tag_lists: {line}", file=sys.stderr)
    return raw_to_clean(table), table.ignored


def list_scan(scan: pa.Table) -> Listing:
    """The files that a scan kept, as if they had just been listed."""
    columns = (scan[name].to_pylist() for name in AudioFile._fields)
    return Listing(sorted(map(AudioFile, *columns)), ignored=0)


def judge_files(listing: Listing, scan: pa.Table | None, limits: Limits) -> pa.Table:
    """Listed files with the audio filter that they fail, where that is known by now.

    A scan's row holds for a file whose path, size and time of change are still the same.

    Returns
    -------
    pa.Table
        The fields of :class:`beam_pipelines.dataset.rules.ListedFile`.
    """
    failed = dict(_failed(scan, limits)) if scan is not None else {}
    files = []
    for file in listing.files:
        # The size is the first filter: what passes all of them with its measures passes it alone.
        known = failed.get(file) or _verdict(file, None, limits)
        files.append((file.path, file.size, *known))
    types = (pa.string(), pa.int64(), pa.string(), pa.string())
    columns = zip(*files, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=list(rules.ListedFile._fields))


def _failed(
    scan: pa.Table, limits: Limits
) -> Iterator[tuple[AudioFile, tuple[Reason | None, str]]]:
    """Files of a scan that fail a filter; a block at a time, for all rows at once are GiB."""
    names = [field.name for field in dataclasses.fields(SilenceStats)]
    rows = scan.select([*AudioFile._fields, *(n for n in names if n in scan.column_names)])
    for batch in rows.to_batches(max_chunksize=join.ROWS_A_RANGE):
        for row in batch.to_pylist():
            file = AudioFile(*(row.pop(name) for name in AudioFile._fields))
            verdict = _verdict(file, SilenceStats(**row, is_silent=False), limits)
            if verdict[0]:
                yield file, verdict


def _verdict(
    file: AudioFile, stats: SilenceStats | None, limits: Limits
) -> tuple[Reason | None, str]:
    reason = failed_filter(file.size, stats, limits)
    return reason, failure_detail(reason, stats, limits) if reason else ""


def _there(path: str, option: str) -> str:
    if not storage.exists(path):
        raise UsageError(f"{option}: {path} is not there")
    return path


def _text(path: str | None, option: str) -> str:
    return storage.read_text(path, option) if path else ""


def _tag_lists(args: argparse.Namespace) -> TagLists | None:
    if args.tag_cleaning == "none":
        return None
    return read_tag_lists(args.tag_lists) if args.tag_lists else default_tag_lists()


def _fingerprints(
    args: argparse.Namespace, listing: Listing, lists: TagLists | None
) -> dict[str, Any]:
    names = hashlib.sha256()
    for file in listing.files:
        names.update(f"{file.path}\0{file.size}\n".encode())
    audio = {
        "files": len(listing.files),
        "bytes": sum(file.size for file in listing.files),
        "sha256": names.hexdigest(),
    }
    tables = {
        name: storage.sha256(path) if path else None
        for name, path in (
            ("scan", args.scan),
            ("msd_summary", args.msd_summary),
            ("lastfm_db", args.lastfm_db),
            ("mismatches", args.mismatches),
            ("duplicates", args.duplicates),
            ("split_file", None if args.split in ("artist", "track") else args.split),
        )
    }
    if args.manifest:
        tables = {"manifest": storage.sha256(args.manifest)}
    tag_lists = None if lists is None else _hash(dataclasses.asdict(lists))
    return {"audio": audio, "tag_lists": tag_lists} | tables


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
