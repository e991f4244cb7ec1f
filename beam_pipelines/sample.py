"""A small corpus in the formats of the Million Song Dataset, with sound that fits its tags."""

from __future__ import annotations

import os
import pathlib
import shlex
from collections.abc import Sequence

import soundfile

from beam_pipelines.synthetic.catalogue import (
    AUDIO_ROOT,
    MAX_CLIPS,
    MIN_CLIPS,
    PLANTED,
    Corpus,
    plan_corpus,
)
from beam_pipelines.synthetic.corpus import (
    DESCRIPTION,
    DUPLICATES,
    LASTFM,
    MISMATCHES,
    SUMMARY,
    claim,
    describe,
    is_finished,
    write_sample,
)
from schemas.common.command import ArgumentParser, run_command
from schemas.common.cores import n_cores
from schemas.common.errors import RunError


def build_parser() -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        prog="python -m beam_pipelines.sample",
        description="Synthesise a small corpus: MP3 clips in the 7digital tree whose sound "
        "depends on their tags, and the metadata files of the Million Song Dataset and Last.fm. "
        "The same options give the same bytes.",
        epilog=f"{DESCRIPTION} in DIR lists the clips, their tags and every planted trouble. "
        "Exit codes: 0 done, 1 failed, 2 wrong arguments.",
    )
    parser.add_argument(
        "dir", metavar="DIR", help="directory to write; new, empty, or with the same corpus"
    )
    parser.add_argument(
        "--clips",
        type=int,
        default=240,
        help=f"audio files in all, from {MIN_CLIPS} to {MAX_CLIPS}; {PLANTED} of them are "
        "broken, silent, mismatched, copies or badly named; with 96 or more every genre has "
        "ten artists",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other songs")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a sample corpus in DIR (deletes only what it wrote)",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Write a sample corpus; returns the exit code."""
    args = build_parser().parse_args(argv)
    corpus = plan_corpus(args.clips, args.seed)
    root = pathlib.Path(args.dir)
    if not args.overwrite and is_finished(root, describe(corpus, args.seed)):
        print(f"{args.dir} is finished already, from the same options")
        print(next_command(args.dir, corpus))
        return 0
    if "MP3" not in soundfile.available_formats():
        raise RunError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot write MP3: "
            "install 1.1 or later (pip's soundfile brings one)"
        )
    claim(root, args.overwrite)
    write_sample(root, corpus, args.seed, n_cores())
    tags = {tag for song in corpus.tracks for tag in song.artist.tags}
    print(
        f"{args.dir}: {len(corpus.clips)} audio files of {len(tags)} tags, "
        f"{len(corpus.songs)} songs, {len(corpus.troubles)} planted troubles ({DESCRIPTION})"
    )
    print(next_command(args.dir, corpus))
    return 0


def next_command(root: str, corpus: Corpus) -> str:
    """The build command that goes on with a corpus."""
    command = [
        *("python", "-m", "beam_pipelines.build"),
        *("--audio_dir", os.path.join(root, AUDIO_ROOT)),
        *("--msd_summary", os.path.join(root, SUMMARY)),
        *("--lastfm_db", os.path.join(root, LASTFM)),
        *("--mismatches", os.path.join(root, MISMATCHES)),
        *("--duplicates", os.path.join(root, DUPLICATES)),
        *("--output", os.path.normpath(root) + "-dataset"),
        *("--tag_threshold", str(max(1, len(corpus.clips) // 24)), "--tag_pool_threshold", "1"),
        *("--split_percent", "60,15,25", "--num_shards", "8"),
    ]
    return f"next: {shlex.join(command)}"


if __name__ == "__main__":
    run_command(main)
