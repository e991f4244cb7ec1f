"""Make a clean Last.fm database, or the lists to curate by hand, or say how a tag came about.

python -m beam_pipelines.clean_tags lastfm_tags.db clean.db
python -m beam_pipelines.clean_tags candidates lastfm_tags.db my_lists
python -m beam_pipelines.clean_tags explain lastfm_tags.db "hip hop" rnb
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from beam_pipelines.million_song import lastfm_db
from beam_pipelines.runtime import storage
from beam_pipelines.runtime.progress import Progress
from beam_pipelines.runtime.resumable import drop_if_empty, work_folder
from beam_pipelines.tags.candidates import CLASSES, candidates
from beam_pipelines.tags.cleaning import TagTable, clean_table, ignored_lines
from beam_pipelines.tags.database import (
    CLEAN_UPS,
    clean_up,
    load_csv,
    tag_table_csv,
    write_clean_database,
)
from beam_pipelines.tags.explain import explain
from beam_pipelines.tags.incidence import Implication, Incidence
from beam_pipelines.tags.lists import GENRE, default_tag_lists, read_tag_lists
from beam_pipelines.tags.queries_sql import LastFm
from schemas.common.arguments import percentile, positive_int, share
from schemas.common.command import ArgumentParser, run_command
from schemas.common.errors import UsageError
from schemas.common.files import delete_attempts

_BEGUN = "begun"  # in the work folder while the results are being written


def main(argv: Sequence[str]) -> int:
    """Run the command; ``candidates`` or ``explain`` as the first argument does that instead."""
    if list(argv[:1]) == ["candidates"]:
        return _write_candidates(_candidates_parser().parse_args(argv[1:]))
    if list(argv[:1]) == ["explain"]:
        return _explain(_explain_parser().parse_args(argv[1:]))
    return _clean(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="python -m beam_pipelines.clean_tags",
        description="Merge the spellings of the tags that are worth keeping, and write a clean "
        "database with the same three tables; the tag table lies beside it as CSV. "
        "'clean_tags candidates --help': the lists to curate by hand. 'clean_tags explain --help': "
        "how a tag came about.",
    )
    _add_input(parser)
    parser.add_argument("output", help="clean database to write (clean.db, with clean.csv)")
    _add_cleaning(parser)
    parser.add_argument(
        "--val_above",
        type=float,
        help="keep only (track, tag) pairs whose val is greater than this; all by default",
    )
    parser.add_argument(
        "--clean_up",
        choices=tuple(CLEAN_UPS),
        help="where almost all tracks of one tag have another, too: give the other to the rest of "
        "them, or take it, or the one, from those with both; nothing of it by default",
    )
    parser.add_argument(
        "--clean_up_above",
        type=share,
        default=0.7,
        help="'almost all' is more than this part (0 to 1) of the tracks",
    )
    _add_overwrite(parser)
    return parser


def _candidates_parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="python -m beam_pipelines.clean_tags candidates",
        description="Write the lists to curate by hand: put a - before the lines that are no tag, "
        "then give the folder to --tag_lists.",
    )
    _add_input(parser)
    parser.add_argument("output", help="folder for genre.txt, rap.txt, instrumental.txt, ...")
    _add_threshold(parser)
    parser.add_argument(
        "--classes",
        nargs="+",
        type=_class,
        metavar="NAME=PERCENT",
        default=[f"{name}={percent:g}" for name, percent in CLASSES.items()],
        help="a list each, NAME.txt: tags with a word that begins so, the most popular first until "
        "they make so many percent of all such tags' counts",
    )
    _add_overwrite(parser)
    return parser


def _class(text: str) -> tuple[str, float]:
    """A class and its percentage, as ``live=90``; 90 where none is said."""
    name, _, percent = text.partition("=")
    if not re.fullmatch(r"\w[\w -]*", name) or name == GENRE:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PERCENT")
    return name, percentile(percent or "90")


def _explain_parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="python -m beam_pipelines.clean_tags explain",
        description="Say how a clean tag came about: which rule merged each spelling, with counts, "
        "what has the same letters and was left out, and what nearly has them.",
    )
    _add_input(parser)
    parser.add_argument("tags", nargs="+", metavar="TAG", help="a clean tag, or any spelling of it")
    _add_cleaning(parser)
    return parser


def _add_cleaning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tag_lists", help="folder of tag lists; the project's own by default")
    _add_threshold(parser)
    parser.add_argument(
        "--tag_pool_threshold",
        type=positive_int,
        default=10,
        help="tracks that a spelling must have to be merged into a tag",
    )


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", help="Last.fm database, or a folder of its tables: tids.csv, tags.csv, tid_tag.csv"
    )


def _add_threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tag_threshold", type=positive_int, default=2000, help="tracks that a genre must have"
    )


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def _clean(args: argparse.Namespace) -> int:
    table_path = os.path.splitext(args.output)[0] + ".csv"
    if args.output == table_path:
        raise UsageError(f"{args.output}: the tag table goes there; name the database .db")
    if os.path.realpath(args.output) == os.path.realpath(args.input):
        raise UsageError(f"{args.output} is the input: the clean database needs another name")
    _refuse([args.output, table_path], args.overwrite)
    lists = read_tag_lists(args.tag_lists) if args.tag_lists else default_tag_lists()
    with _database(args.input) as db, tempfile.TemporaryDirectory(prefix="orpheus-") as folder:
        with Progress("count and merge the tags"):
            popularity = lastfm_db.popularity(db)
            table = clean_table(popularity, lists, args.tag_threshold, args.tag_pool_threshold)
        clean = os.path.join(folder, "clean.db")
        with Progress("write the clean database"):
            tracks = write_clean_database(db, clean, table, args.val_above)
            if not tracks:
                raise UsageError(
                    f"no pair of track and tag in {args.input} has a val above {args.val_above}"
                )
            implications = _implications(clean, args.clean_up_above) if args.clean_up else []
            if implications:
                tracks = clean_up(clean, implications, args.clean_up)
            with _taking([args.output, table_path], args.overwrite):
                with open(clean, "rb") as source, storage.replacing(args.output) as target:
                    shutil.copyfileobj(source, target)
                storage.write_bytes(table_path, tag_table_csv(table, tracks).encode())
    _tell(table, sum(tracks.values()), len(popularity), args.output, table_path)
    for tag, implied, part in implications:
        print(f"{args.clean_up}: {100 * part:.1f} % of {tag} is {implied}")
    return 0


def _implications(db: str, above: float) -> list[Implication]:
    queries = LastFm(db)
    try:
        return Incidence(queries).all_tag_is(above)
    finally:
        queries.close()


def _tell(table: TagTable, pairs: int, n_raw: int, output: str, table_path: str) -> None:
    merged = sum(len(row.raw) for row in table.rows)
    print(f"{output}: {len(table.rows)} tags, {pairs:,} pairs of track and tag")
    print(f"{table_path}: {merged:,} of {n_raw:,} spellings merged into them")
    for line in ignored_lines(table):
        print(line)


def _explain(args: argparse.Namespace) -> int:
    lists = read_tag_lists(args.tag_lists) if args.tag_lists else default_tag_lists()
    thresholds = (args.tag_threshold, args.tag_pool_threshold)
    with _database(args.input) as db, Progress("count and merge the tags"):
        popularity = lastfm_db.popularity(db)
        table = clean_table(popularity, lists, *thresholds)
    for name in args.tags:
        print("\n".join(explain(name, table, popularity, lists, *thresholds)))
    return 0


def _write_candidates(args: argparse.Namespace) -> int:
    classes = dict(_class(each) if isinstance(each, str) else each for each in args.classes)
    with _database(args.input) as db, Progress("count the tags"):
        lists = candidates(lastfm_db.popularity(db), args.tag_threshold, classes)
    paths = {name: storage.join(args.output, f"{name}.txt") for name in lists}
    with _taking(list(paths.values()), args.overwrite):
        for name, tags in lists.items():
            storage.write_bytes(paths[name], "".join(f"{tag}\n" for tag in tags).encode())
    for name, tags in lists.items():
        print(f"{paths[name]}: {len(tags)} candidates")
    return 0


@contextlib.contextmanager
def _taking(paths: Sequence[str], overwrite: bool) -> Iterator[None]:
    """The right to write some files: once one is begun, a killed run may replace all of them."""
    with work_folder(paths[0]) as work:
        _refuse(paths, overwrite)
        storage.write_bytes(storage.join(work, _BEGUN), b"")
        for path in paths:
            if storage.is_local(path):
                delete_attempts(path)
        yield
        storage.delete(storage.join(work, _BEGUN))


def _refuse(paths: Sequence[str], overwrite: bool) -> None:
    if overwrite or storage.exists(storage.join(f"{paths[0]}.work", _BEGUN)):
        return
    for path in paths:
        if storage.exists(path):
            drop_if_empty(f"{paths[0]}.work")  # of a run that was killed at its very end
            raise UsageError(f"{path} is there already (--overwrite replaces it)")


@contextlib.contextmanager
def _database(path: str) -> Iterator[str]:
    """A local database of the input, checked; made first where the input is CSV."""
    if storage.exists(storage.join(path, "tags.csv")) or os.path.isdir(path):
        with tempfile.TemporaryDirectory(prefix="orpheus-") as folder:
            db = os.path.join(folder, "lastfm_tags.db")
            with Progress("read the CSV tables"):
                load_csv(path, db)
            yield db
        return
    if not storage.exists(path):
        raise UsageError(f"{path} is not there")
    with storage.local_copy(path) as db:
        lastfm_db.validate(db)
        yield db


if __name__ == "__main__":
    run_command(main)
