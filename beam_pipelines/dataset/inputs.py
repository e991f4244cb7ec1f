"""Look: check the inputs of a build, list the audio, clean the tag table, fingerprint all.

Everything that can be wrong with the inputs is said here, before anything is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import soundfile

from beam_pipelines.dataset.join import JoinInputs
from beam_pipelines.dataset.rules import Rules
from beam_pipelines.million_song.lastfm_db import RawTag
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.resumable import fingerprint
from beam_pipelines.scanning import filters
from beam_pipelines.scanning.judge import judge_files
from beam_pipelines.scanning.listing import Listing
from beam_pipelines.sources.kinds import KINDS, chosen_kind
from beam_pipelines.sources.source import ROWS_A_RANGE, Source
from beam_pipelines.tags.cleaning import TagTable, clean_table, ignored_lines, raw_to_clean
from beam_pipelines.tags.lists import TagLists, default_tag_lists, read_tag_lists

# Libraries whose version can change a byte of the output.
_VERSIONED = ("av", "numpy", "pyarrow", "scipy", "soxr", "mutagen")
_UNSHAPING = {
    "audio_dir",
    "output",
    "overwrite",
    "max_unreadable",
    "changed",
    "dry_run",
    "verbose",
    "tables",
    "table_format",
    "tag_lists",
    "split",
    "scan",
}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a build was given, looked at.

    Attributes
    ----------
    source : Source
        Songs, files and tags.
    raw_to_clean : mapping or None
        Raw tag number to clean tag; None takes tags as they are.
    ignored_names : mapping
        Names of the tag lists that had no effect, by reason.
    spellings : mapping
        Tag to its spellings with their tracks, where there are several.
    options, fingerprints : dict
        What shapes the contents: options, and the inputs' sizes and hashes.
    plan_id : str
        Hash of both, and of the versions that matter.
    """

    source: Source
    raw_to_clean: Mapping[int, str] | None
    ignored_names: Mapping[str, tuple[str, ...]]
    spellings: Mapping[str, Mapping[str, int]]
    options: dict[str, Any]
    fingerprints: dict[str, Any]
    plan_id: str

    @property
    def n_files(self) -> int:
        """Number of listed files."""
        return len(self.source.listing.files)

    @property
    def n_songs(self) -> int:
        """Number of songs that the source names."""
        return self.source.n_songs

    def describe(self) -> dict[str, Any]:
        """What of it stands in the plan, as JSON values."""
        return {
            "plan_id": self.plan_id,
            "n_files": self.n_files,
            "n_songs": self.n_songs,
            "ignored": dict(sorted(self.source.listing.ignored.items())),
            "ignored_names": dict(self.ignored_names),
            "spellings": self.spellings,
            "split": {"by": self.options["split"], "percent": self.options["split_percent"]},
            "options": self.options,
            "fingerprints": self.fingerprints,
        }

    def to_join(self, args: argparse.Namespace, work: str) -> JoinInputs:
        """What the join reads; puts the listing into the work folder."""
        judged = judge_files(self.source.listing, self.source.scan, filters.read_limits(args))
        table = self.source.to_read(judged, self.raw_to_clean)
        path = storage.join(work, "listing.parquet")
        storage.write_table(path, table, ROWS_A_RANGE)
        return JoinInputs(
            source=self.source,
            table=path,
            n_rows=table.num_rows,
            raw_to_clean=self.raw_to_clean,
            split_by=self.options["split"],
            split_percent=args.split_percent,
            rules=Rules(args.untagged == "keep", self.source.split is not None),
        )


def look(args: argparse.Namespace) -> Inputs:
    """Check and read the inputs of a build.

    Raises
    ------
    UsageError
        At the first that cannot be used.
    """
    lists = _tag_lists(args)
    source = chosen_kind(args).look(args)
    table = _clean(source.popularity(), lists, args) if lists else None
    mapping = None if table is None else raw_to_clean(table)
    ignored = {} if table is None else table.ignored
    unshaping = _UNSHAPING | {name for kind in KINDS for name in kind.places}
    shaping = {name: value for name, value in vars(args).items() if name not in unshaping}
    by_file = "official" if args.split == "official" else "file"
    shaping["split"] = args.split if source.split is None else by_file
    fingerprints = {
        "audio": _names_and_sizes(source.listing),
        "tag_lists": None if lists is None else fingerprint(dataclasses.asdict(lists)),
        **source.fingerprints(),
    }
    versions = {name: _version(name) for name in _VERSIONED}
    versions["libsndfile"] = soundfile.__libsndfile_version__
    plan_id = fingerprint([shaping, fingerprints, versions])
    fingerprints["versions"] = versions
    spellings = _spellings(source, table)
    return Inputs(source, mapping, ignored, spellings, shaping, fingerprints, plan_id)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # copied or frozen without its metadata
        return "unknown"


def _clean(tags: Sequence[RawTag], lists: TagLists, args: argparse.Namespace) -> TagTable:
    table = clean_table(tags, lists, args.tag_threshold, args.tag_pool_threshold)
    for line in ignored_lines(table) if args.tag_lists else ():
        print(f"warning: --tag_lists: {line}", file=sys.stderr)
    return table


def _spellings(source: Source, table: TagTable | None) -> dict[str, dict[str, int]]:
    """What the source and the cleaning made one tag, by the spellings of the inputs."""
    written = source.spellings
    if table is None or written is None:
        return {tag: dict(spellings) for tag, spellings in (written or {}).items()}
    found = {
        row.tag: dict(
            each for raw in row.raw for each in written.get(raw.tag, {raw.tag: raw.count}).items()
        )
        for row in table.rows
    }
    return {tag: spellings for tag, spellings in found.items() if len(spellings) > 1}


def _tag_lists(args: argparse.Namespace) -> TagLists | None:
    if args.tag_cleaning == "none":
        return None
    if args.tag_cleaning == "merge":
        return TagLists()
    return read_tag_lists(args.tag_lists) if args.tag_lists else default_tag_lists()


def _names_and_sizes(listing: Listing) -> dict[str, Any]:
    """The listed files, in short."""
    names = hashlib.sha256()
    for file in listing.files:
        names.update(f"{file.path}\0{file.size}\n".encode())
    return {
        "files": len(listing.files),
        "bytes": sum(file.size for file in listing.files),
        "sha256": names.hexdigest(),
    }
