"""The synthetic corpus: real formats, sound that fits its tags, equal bytes, planted troubles."""

import collections
import dataclasses
import hashlib
import io
import json
import re
import sqlite3

import h5py
import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from beam_pipelines import sample
from beam_pipelines.million_song.summary_file import parse_duplicates, parse_mismatches, read_songs
from beam_pipelines.synthetic import composition, genres
from beam_pipelines.synthetic import corpus as corpus_files
from beam_pipelines.synthetic.catalogue import (
    MIN_CLIPS,
    PLANTED,
    artist_tags,
    clean_tags,
    plan_corpus,
)
from schemas.common.errors import UsageError

CLIPS, SEED = MIN_CLIPS, 3


@pytest.fixture(scope="module")
def corpus():
    return plan_corpus(CLIPS, SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpus):
    """A corpus that one thread has written."""
    root = tmp_path_factory.mktemp("corpus")
    corpus_files.write_sample(root, corpus, SEED, workers=1)
    return root


@pytest.fixture(scope="module")
def description(folder):
    return json.loads((folder / corpus_files.DESCRIPTION).read_text("utf8"))


def sums(root) -> dict[str, str]:
    """SHA-256 of each file; of a database without the version of the library that wrote it.

    TensorFlow brings an SQLite of its own, which a process that has imported it uses
    (SQLite's file format, 1.3: the last four bytes of the header).
    """

    def content(path) -> bytes:
        data = path.read_bytes()
        return data[:96] + data[100:] if path.suffix == ".db" else data

    return {
        str(path.relative_to(root)): hashlib.sha256(content(path)).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def decode(path) -> tuple[np.ndarray, int]:
    return soundfile.read(path, dtype="float32", always_2d=True)


def trouble(description, what) -> list[dict]:
    return [row for row in description["troubles"] if row["what"] == what]


def test_same_options_same_bytes_for_any_workers(folder, tmp_path, command, corpus):
    done = command("beam_pipelines.sample", tmp_path / "new", "--clips", CLIPS, "--seed", SEED)
    assert done.returncode == 0, done.stderr
    assert sums(tmp_path / "new") == sums(folder)
    first, last = done.stdout.splitlines()
    assert first.endswith(
        f"{CLIPS} audio files of 15 tags, {len(corpus.songs)} songs, "
        f"{PLANTED} planted troubles (sample.json)"
    )
    assert last.startswith(
        f"next: python -m beam_pipelines.build --audio_dir {tmp_path}/new/7digital "
        f"--msd_summary {tmp_path}/new/msd_summary_file.h5 "
    )
    assert "clips: 32 of 32" in done.stderr


def test_another_seed_gives_other_songs(corpus):
    other = plan_corpus(CLIPS, SEED + 1)
    assert not {song.track_id for song in corpus.songs} & {song.track_id for song in other.songs}
    assert plan_corpus(CLIPS, SEED) == corpus


@pytest.mark.parametrize("clips, seed", [(32, 0), (33, 1), (97, 0), (240, 2)])
def test_plan_counts(clips, seed):
    plan = plan_corpus(clips, seed)
    assert len(plan.clips) == len({clip.path for clip in plan.clips}) == clips
    assert len(plan.troubles) == PLANTED
    assert len(plan.tracks) == clips - PLANTED + 2  # two of them are still written
    assert len({song.track_id for song in plan.songs}) == len(plan.songs) > clips
    assert {len(song.track_id) for song in plan.songs} == {18}
    repeats = collections.Counter(song.track_7digitalid for song in plan.songs)
    assert sorted(repeats.values())[-2:] == [1, 2] and repeats[0] == 1


def test_default_corpus_has_ten_artists_a_genre_and_enough_of_every_tag():
    tracks = plan_corpus(240, 0).tracks
    artists = collections.defaultdict(set)
    for song in tracks:
        artists[song.artist.tags[0]].add(song.artist.artist_id)
    assert {genre: len(ids) for genre, ids in artists.items()} == dict.fromkeys(
        composition.TEMPOS, 21
    )
    counts = collections.Counter(tag for song in tracks for tag in clean_tags(song.artist.tags))
    assert len(counts) == 16
    assert min(counts.values()) >= 20
    # the commonest raw spelling alone passes the threshold that the command suggests
    raw = collections.Counter(
        tag for song in tracks for tag, _ in song.raw_tags if tag in ("Hip-Hop", "rap", "rock")
    )
    assert min(raw.values()) >= 10 and len(raw) == 3


def test_summary_has_the_published_columns(folder, corpus):
    with h5py.File(folder / corpus_files.SUMMARY) as file:
        sizes = {}
        for name in ("metadata", "analysis", "musicbrainz"):
            table = file[name]["songs"]
            columns = list(table.dtype.names)
            assert columns == sorted(columns)
            assert (table.compression, table.compression_opts, table.shuffle) == ("gzip", 1, True)
            assert table.chunks is not None
            sizes[name] = table.dtype.itemsize
            assert len(table) == len(corpus.songs)
        assert sizes == {"metadata": 5320, "analysis": 220, "musicbrainz": 8}
        tempo = file["analysis/songs"].fields("tempo")[:]
    for song, value in zip(corpus.songs, tempo, strict=True):
        slow, fast = composition.TEMPOS[song.artist.tags[0]]
        assert slow <= value <= fast


def test_summary_rows_are_the_songs(folder, corpus):
    rows = list(read_songs(str(folder / corpus_files.SUMMARY), 0, len(corpus.songs)))
    for row, song in zip(rows, corpus.songs, strict=True):
        assert row[:2] == (song.track_id, song.track_7digitalid)
        assert row.artist_id == song.artist.artist_id
        assert (row.artist_name, row.title) == (song.artist.name, song.title)
        assert (row.song_id, row.year) == (song.song_id, song.year)
    assert any(row.year == 0 for row in rows) and any(row.year > 1960 for row in rows)
    assert any(not row.title.isascii() for row in rows)
    assert any(row.song_id.startswith("SOTR") for row in rows)


def test_database_numbers_are_row_ids(folder, corpus):
    with sqlite3.connect(folder / corpus_files.LASTFM) as database:
        rows = database.execute(
            "SELECT tids.tid, tags.tag, val FROM tid_tag "
            "JOIN tids ON tids.ROWID = tid_tag.tid JOIN tags ON tags.ROWID = tid_tag.tag "
            "ORDER BY tid_tag.ROWID"
        ).fetchall()
        tids = [tid for (tid,) in database.execute("SELECT tid FROM tids ORDER BY ROWID")]
    known = [song for song in reversed(corpus.songs) if song.raw_tags is not None]
    assert tids == [song.track_id for song in known]
    assert rows == [(song.track_id, *pair) for song in known for pair in song.raw_tags]
    assert any(song.raw_tags == () for song in known)
    assert len(known) < len(corpus.songs)
    vals = [val for *_, val in rows]
    assert min(vals) == 0 and max(vals) == 100
    names = {tag for _, tag, _ in rows}
    assert {"rock", "Rock", "Hip-Hop", "female vocalists", "favorites", "seen live"} <= names


def test_mismatches_and_duplicates_have_the_published_form(folder, corpus, description):
    lines = (folder / corpus_files.MISMATCHES).read_text("utf8").splitlines()
    form = re.compile(r"ERROR: <SO\w{16} TR\w{16}> .*  -  .*  !=  .+  -  .*")
    assert all(form.fullmatch(line) for line in lines)
    ids = [line[27:45] for line in lines]
    assert list(parse_mismatches(lines)) == ids
    assert ids[:2] == [row["track_id"] for row in trouble(description, "mismatched")]
    assert len(set(ids)) == len(ids) - 1
    assert not set(ids) <= {song.track_id for song in corpus.songs}
    text = (folder / corpus_files.DUPLICATES).read_text("utf8").splitlines()
    assert [line[0] for line in text[:8]] == list("######%T")
    groups = list(parse_duplicates(text))
    assert groups == [[song.track_id for song in group] for group in corpus.duplicates]
    assert sum(line.startswith("%") for line in text) == len(groups) == 5
    assert len(set(groups[1]) & set(groups[2])) == 1


def test_clips_lie_in_the_tree_and_sound(folder, corpus, description):
    audio = folder / sample.AUDIO_ROOT
    files = {str(path.relative_to(folder)) for path in audio.rglob("*") if path.is_file()}
    assert files - {clip.path for clip in corpus.clips} == {corpus_files.COVER}
    assert description["files"] == sorted(sums(folder))
    kinds = collections.Counter()
    for row in description["tracks"]:
        assert re.fullmatch(r"(\d)/(\d)/\1\2\d+\.clip\.mp3", row["path"])
        sound, rate = decode(audio / row["path"])
        kinds[rate, sound.shape[1]] += 1
        seconds = len(sound) / rate
        cut = row["path"] == trouble(description, "cut at 40 %, decodes to 12 s")[0]["path"]
        assert seconds == pytest.approx(12 if cut else 30, abs=0.2)
        bit_rate = (audio / row["path"]).stat().st_size * 8 / seconds
        assert bit_rate == pytest.approx(64_000 if rate == 22_050 else 112_000, rel=0.02)
        assert 0.4 < np.abs(sound).max() < 1
        assert 10 * np.log10(np.mean(sound**2)) > -30
    assert kinds == {(22_050, 1): 16, (44_100, 2): 2}


def test_planted_files(folder, description):
    def path(what):
        return folder / sample.AUDIO_ROOT / trouble(description, what)[0]["path"]

    assert path("empty file").read_bytes() == b""
    for what in ("cut after 64 bytes", "text, larger copy"):
        with pytest.raises(soundfile.LibsndfileError):
            decode(path(what))
    assert np.abs(decode(path("digital silence"))[0]).max() < 1e-4
    phase, _ = decode(path("channels in opposite phase"))
    assert np.abs(phase).max() > 0.4
    assert np.abs(phase.mean(axis=1)).max() < 0.01
    assert path("letter in the id").name == "12a.clip.mp3"
    assert (folder / corpus_files.COVER).stat().st_size > 0


def test_copies_sound_alike_and_are_smaller(folder, corpus, description):
    (first, copy), (second, _), (_, far), (text, third), _ = (
        [folder / song.path for song in group] for group in corpus.duplicates
    )
    for original, other in ((first, copy), (second, far)):
        assert other.stat().st_size < original.stat().st_size
        a, b = (decode(path)[0].mean(axis=1) for path in (original, other))
        assert np.corrcoef(a, b)[0, 1] > 0.95
    assert text.stat().st_size > third.stat().st_size


def test_build_gives_the_planted_reasons(folder, description, command, tmp_path):
    done = command(
        "beam_pipelines.build",
        *("--audio_dir", folder / "7digital", "--msd_summary", folder / corpus_files.SUMMARY),
        *(
            "--lastfm_db",
            folder / corpus_files.LASTFM,
            "--mismatches",
            folder / corpus_files.MISMATCHES,
        ),
        *("--duplicates", folder / corpus_files.DUPLICATES, "--output", tmp_path / "dataset"),
        *("--tag_threshold", 1, "--tag_pool_threshold", 1, "--num_shards", 4),
    )
    assert done.returncode == 0, done.stderr
    rejects = pyarrow.parquet.read_table(tmp_path / "dataset" / "rejects.parquet").to_pylist()
    of_files = {row["path"]: row["reason"] for row in rejects if row["kind"] == "file"}
    planted = {row["path"]: row["reason"] for row in description["troubles"] if row["reason"]}
    assert of_files == planted
    tracks = pyarrow.parquet.read_table(tmp_path / "dataset" / "tracks.parquet").to_pylist()
    written = [
        {
            "path": row["path"],
            "track_id": row["track_id"],
            "artist_id": row["artist_id"],
            "tags": sorted(row["tags"]),
        }
        for row in tracks
    ]
    assert sorted(written, key=lambda row: row["path"]) == description["tracks"]


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["--clips", "31"], "--clips 31 is not from 32 to 100000"),
        (["--seed", "-1"], "--seed -1: it must not be negative"),
        (["--clips", "many"], "argument --clips: invalid int value: 'many' (see --help)"),
        (["--clip", "40"], "unrecognized arguments: --clip 40 (see --help)"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path, arguments, line):
    with pytest.raises(UsageError) as error:
        sample.main([str(tmp_path / "new"), *arguments])
    assert str(error.value) == line
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_end_in_one_line_and_exit_code_2(tmp_path, command):
    done = command("beam_pipelines.sample", tmp_path / "new", "--clips", 3)
    assert done.returncode == 2
    assert done.stderr == "error: --clips 3 is not from 32 to 100000\n"


def test_directories_of_others_are_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="file cannot be a directory to write to: File exists"):
        sample.main([str(file)])
    with pytest.raises(UsageError, match="is not empty"):
        sample.main([str(tmp_path)])
    with pytest.raises(UsageError, match=r"file is not of a sample corpus: .* is left as it is"):
        sample.main([str(tmp_path), "--overwrite"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def small(tmp_path, corpus):
    """A finished corpus of quickly made files: its clips are the text and the empty one alone."""
    clips = [clip for clip in corpus.clips if clip.kind in ("text", "empty")]
    plan = dataclasses.replace(corpus, clips=clips)
    corpus_files.write_sample(tmp_path, plan, SEED, workers=1)
    return tmp_path, plan


def test_overwrite_deletes_only_the_corpus(small):
    root, _ = small
    with pytest.raises(UsageError, match="is not empty"):
        corpus_files.claim(root, overwrite=False)
    for name in ("7digital/1/2/notes.txt", "empty"):
        foreign = root / name
        foreign.parent.mkdir(parents=True, exist_ok=True)
        foreign.mkdir() if name == "empty" else foreign.write_text("mine")
        before = sums(root)
        with pytest.raises(UsageError, match=f"{foreign} is not of a sample corpus"):
            corpus_files.claim(root, overwrite=True)
        assert sums(root) == before
        foreign.rmdir() if name == "empty" else foreign.unlink()
    corpus_files.claim(root, overwrite=True)
    assert not list(root.iterdir())


@pytest.mark.parametrize("moved", [0, 1, 5])
def test_a_killed_run_can_be_repeated(small, moved):
    """Killed while it writes (nothing moved up yet) or while it moves entries up."""
    root, plan = small
    expected = sums(root)
    unfinished = root / ".unfinished"
    unfinished.mkdir()
    for name in corpus_files.ENTRIES[moved:]:
        (root / name).rename(unfinished / name)
    corpus_files.claim(root, overwrite=moved > 0)
    assert not list(root.iterdir())
    corpus_files.write_sample(root, plan, SEED, workers=2)
    assert sums(root) == expected


def test_a_finished_corpus_is_not_written_again(folder, capsys):
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert sample.main([str(folder), "--clips", str(CLIPS), "--seed", str(SEED)]) == 0
    assert "is finished already, from the same options" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    with pytest.raises(UsageError, match="is not empty"):
        sample.main([str(folder), "--clips", str(CLIPS), "--seed", str(SEED + 1)])


def test_a_corpus_that_lacks_a_file_is_not_finished(small):
    root, plan = small
    assert corpus_files.is_finished(root, corpus_files.describe(plan, SEED))
    assert not corpus_files.is_finished(root, corpus_files.describe(plan, SEED + 1))
    (root / corpus_files.SUMMARY).unlink()
    assert not corpus_files.is_finished(root, corpus_files.describe(plan, SEED))


def test_every_genre_has_its_singers():
    for genre in composition.TEMPOS:
        tags = [artist_tags(genre, number) for number in range(20)]
        voices = [{"female vocalists", "male vocalists", "instrumental"} & set(t) for t in tags]
        assert {len(voice) for voice in voices} == {1}
        assert {genre} == {t[0] for t in tags}
        assert len({next(iter(voice)) for voice in voices}) >= 2


def test_encoding_is_the_same_twice_and_keeps_the_length():
    sound = genres.synthesise({"jazz"}, (1,), (2,), 3.0)
    encoded = corpus_files.encode(sound, 22_050, 0.6)
    assert encoded == corpus_files.encode(sound, 22_050, 0.6)
    decoded, rate = soundfile.read(io.BytesIO(encoded), dtype="float32")
    assert rate == 22_050 and len(decoded) == len(sound)
    assert np.corrcoef(decoded, sound[:, 0])[0, 1] > 0.95
