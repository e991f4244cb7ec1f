"""Rehearse a build on metadata of any size: ``python -m tests.benchmarks.rehearsal DIR``.

Writes a summary, a scan table, mismatches and duplicates for generated songs beside a
Last.fm database (the user's own, or a generated one with as many tags a song), then runs
``beam_pipelines.build --dry_run`` on them and prints its time and its peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import time

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.synthetic.tables import ANALYSIS_SONGS, METADATA_SONGS, MUSICBRAINZ_SONGS
from beam_pipelines.tags.lists import default_tag_lists
from schemas import tables

TIDS, TAGS, PAIRS = 505_216, 522_366, 8_598_630  # of the published database
ROWS_AT_ONCE = 10_000
SONGS_AN_ARTIST = 22
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)


def track_ids(n: int, rng: np.random.Generator) -> list[str]:
    """Well-formed track ids: a counter that is part of them makes them unique."""
    letters = rng.choice(LETTERS, (n, 6)).tobytes().decode()
    return [f"TR{letters[6 * i : 6 * i + 6]}1{i:09X}" for i in range(n)]


def write_lastfm(
    path: str, rng: np.random.Generator, tids: int = TIDS, tags: int = TAGS, pairs: int = PAIRS
) -> None:
    """A database, of the true size by default, whose popularity falls as the published one's."""
    names = list(dict.fromkeys(default_tag_lists().genre))[:tags]
    names += [f"tag {i}" for i in range(tags - len(names))]
    weights = 1 / (np.arange(tags) + 12.0)
    found = np.unique(
        rng.integers(0, tids, pairs) * tags + rng.choice(tags, pairs, p=weights / weights.sum())
    )
    vals = rng.integers(0, 101, len(found)).astype(float).tolist()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE tids (tid TEXT)")
        db.execute("CREATE TABLE tags (tag TEXT)")
        db.execute("CREATE TABLE tid_tag (tid INT, tag INT, val FLOAT)")
        db.executemany("INSERT INTO tids VALUES (?)", ((t,) for t in track_ids(tids, rng)))
        db.executemany("INSERT INTO tags VALUES (?)", ((name,) for name in names))
        rows = zip((found // tags + 1).tolist(), (found % tags + 1).tolist(), vals, strict=True)
        db.executemany("INSERT INTO tid_tag VALUES (?, ?, ?)", rows)


def write_summary(path: str, ids: list[str], numbers: np.ndarray) -> None:
    """The three tables with all their columns, a block of rows at a time."""
    layouts = {
        "metadata": METADATA_SONGS,
        "analysis": ANALYSIS_SONGS,
        "musicbrainz": MUSICBRAINZ_SONGS,
    }
    with h5py.File(path, "w") as file:
        datasets = {
            group: file.create_group(group).create_dataset(
                "songs",
                (len(ids),),
                dtype,
                chunks=(max(1, 65_536 // dtype.itemsize),),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
            for group, dtype in layouts.items()
        }
        for start in range(0, len(ids), ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, len(ids))
            block = {group: np.zeros(stop - start, dtype) for group, dtype in layouts.items()}
            artists = [i // SONGS_AN_ARTIST for i in range(start, stop)]
            block["metadata"]["track_7digitalid"] = numbers[start:stop]
            block["metadata"]["artist_id"] = [f"AR{i:016X}".encode() for i in artists]
            block["metadata"]["artist_name"] = [f"Artist {i}".encode() for i in artists]
            block["metadata"]["title"] = [f"Title {i}".encode() for i in range(start, stop)]
            block["analysis"]["track_id"] = [text.encode() for text in ids[start:stop]]
            block["musicbrainz"]["year"] = 1960 + np.arange(start, stop) % 50
            for group, rows in block.items():
                datasets[group][start:stop] = rows


def write_scan(path: str, numbers: np.ndarray, rng: np.random.Generator) -> None:
    """A scan table in which every song has a file."""
    texts = np.sort(numbers).astype(str).tolist()
    values: dict[str, object] = {
        "path": sorted(f"{t[0]}/{t[1]}/{t}.clip.mp3" for t in texts),
        "size": rng.integers(200_000, 500_000, len(numbers)),
        "silence_detail": [[]] * len(numbers),
    }
    values |= {"decoder": ["libsndfile"] * len(numbers), "cut_short": np.zeros(len(numbers))}
    values["only_channel"] = [None] * len(numbers)
    rest = np.full(len(numbers), 30)
    columns = [pa.array(values.get(field.name, rest), field.type) for field in tables.SCAN]
    pq.write_table(pa.table(columns, schema=tables.SCAN), path)


def write_texts(folder: str, ids: list[str]) -> None:
    """As many mismatches and duplicate groups as were published, for as many songs."""
    share = len(ids) / 1_000_000
    with open(os.path.join(folder, "sid_mismatches.txt"), "w") as file:
        for text in ids[:: max(1, int(50 / max(share, 1)))][: int(19_094 * share)]:
            file.write(f"ERROR: <SO{text[2:]} {text}> a  -  b  !=  c  -  d\n")
    with open(os.path.join(folder, "msd_duplicates.txt"), "w") as file:
        for i in range(int(53_471 * share)):
            file.write(f"%{i} a - b\n{ids[7 * i]}\n{ids[7 * i + 3]}\n")


def write_songs(folder: str, db: str, n: int, rng: np.random.Generator) -> None:
    """All but the tags, for `n` songs; as many of them as the database has are tagged."""
    with sqlite3.connect(db) as connection:
        tagged = [row[0] for row in connection.execute("SELECT tid FROM tids")]
    ids = (tagged + track_ids(max(0, n - len(tagged)), rng))[:n]
    numbers = rng.permutation(n) + 10_000
    write_texts(folder, ids)
    write_summary(os.path.join(folder, "summary.h5"), ids, numbers)
    write_scan(os.path.join(folder, "scan.parquet"), numbers, rng)


def dry_run_options(folder: str, db: str) -> list[str]:
    """Options of a build that plans what :func:`write_songs` wrote."""
    names = {
        **{"scan": "scan.parquet", "msd_summary": "summary.h5"},
        **{"mismatches": "sid_mismatches.txt", "duplicates": "msd_duplicates.txt"},
    }
    paths = {option: os.path.join(folder, name) for option, name in names.items()}
    paths |= {"lastfm_db": db, "output": "unused"}
    return ["--dry_run", *(text for name, path in paths.items() for text in (f"--{name}", path))]


def main() -> None:
    """Generate what is not there yet, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="gets the generated files; they are kept for the next run")
    parser.add_argument("--songs", type=int, default=1_000_000, help="songs and files")
    parser.add_argument("--lastfm_db", help="a database of tags (default: generate one)")
    args, more = parser.parse_known_args()
    os.makedirs(args.folder, exist_ok=True)
    rng = np.random.default_rng(0)
    db = args.lastfm_db or os.path.join(args.folder, "lastfm_tags.db")
    if not os.path.exists(db):
        share = args.songs / 1_000_000
        write_lastfm(db, rng, int(TIDS * share), TAGS, int(PAIRS * share))
    if not os.path.exists(os.path.join(args.folder, "scan.parquet")):
        write_songs(args.folder, db, args.songs, rng)
    command = [sys.executable, "-m", "beam_pipelines.build", *dry_run_options(args.folder, db)]
    command += more
    started = time.monotonic()
    subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU-s, "
        f"{used.ru_maxrss / 2**20:.2f} GiB at most"
    )


if __name__ == "__main__":
    main()
