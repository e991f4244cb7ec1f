"""Windows, order and targets of the trainer's input, on real shards."""

import collections
import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.audio_spec import LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import RunError, UsageError
from schemas.config import CENTRED, RANDOM, Config, fill, read_config
from schemas.manifest import read_dataset
from tests.helpers.datasets import SMALL, TONES, spectrograms, tone_dataset, tones, write_dataset
from trainer.input import records
from trainer.input.batches import training_batches, window_start
from trainer.input.records import needed_length, read_tags, read_tracks, survey
from trainer.input.source import part_source, shard_tids
from trainer.input.whole_tracks import whole_tracks

WINDOW = 2000  # samples: window_seconds=1


def source_and_config(folder, *settings, part="train"):
    dataset = read_dataset(str(folder))
    config = fill(read_config(None, ["window_seconds=1", *settings]), dataset)
    return part_source(dataset, part, config), config


def batches(folder, *settings):
    """All batches as (windows, tags)."""
    source, config = source_and_config(folder, *settings)
    return list(training_batches(source, config).as_numpy_iterator())


def ramps(lengths):
    """Clips whose sample i is i + 5000 k, so that a window tells its clip and its start."""
    tags = np.eye(len(lengths), dtype=int)
    return [
        (f"TR{k}", (np.arange(length) + 5000 * k).astype("<i2"), tags[k])
        for k, length in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def ramp_set(tmp_path_factory):
    """Four clips: longer by 3 and by 900 samples, exactly one window, shorter."""
    folder = tmp_path_factory.mktemp("ramps")
    rows = ramps([WINDOW + 3, WINDOW + 900, WINDOW, WINDOW - 700])
    return write_dataset(folder, {"train": rows}, ["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def tone_set(tmp_path_factory):
    return tone_dataset(tmp_path_factory.mktemp("tones"))


def test_waveform_windows_are_cuts_of_their_clips(ramp_set):
    seen = collections.Counter()
    for windows, tags in batches(ramp_set, "epochs=200", "batch_size=4"):
        assert windows.dtype == np.float32 and windows.shape == (4, WINDOW)
        assert tags.sum(axis=0).tolist() == [1, 1, 1, 1]  # each track once an epoch
        for window, clip in zip(np.round(windows * 32768).astype(int), tags.argmax(1), strict=True):
            start = window[0] - 5000 * clip
            seen[int(clip), int(start)] += 1
            if clip == 3:  # shorter than a window: the rest is silence
                assert window[WINDOW - 700 :].tolist() == [0] * 700
                window = window[: WINDOW - 700]
            assert window.tolist() == list(range(window[0], window[0] + len(window)))
    starts = [seen[0, start] for start in range(4)]
    assert sum(starts) == 200 and min(starts) > 30  # the last start as likely as the others
    assert max(start for clip, start in seen if clip == 1) > 850
    assert seen[2, 0] == 200 and seen[3, 0] == 200


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 2**31))
def test_a_window_lies_in_its_clip(window, more, seed):
    seed = tf.constant([seed, 1], tf.int64)
    assert 0 <= int(window_start(window + more, window, RANDOM, seed)) <= more
    before = int(window_start(window + more, window, CENTRED))
    assert more - before - before in (0, 1)
    for kind in (RANDOM, CENTRED):
        assert int(window_start(max(window - more, 0), window, kind, seed)) == 0


@pytest.mark.parametrize("audio_format", [WAVEFORM, LOG_MEL])
def test_centred_windows_are_the_same_in_every_epoch(ramp_set, tmp_path, audio_format):
    starts = [1, 450, 0, 0]
    if audio_format == LOG_MEL:  # frames whose number is in each of their bands
        rows = []
        for k, length in enumerate([34, 72, 31, 22]):
            frames = 100 * k + np.repeat(np.arange(length)[:, None], SMALL.n_mels, axis=1)
            rows.append((f"TR{k}", frames, np.eye(4, dtype=int)[k]))
        write_dataset(tmp_path, {"train": rows}, ["a", "b", "c", "d"], audio_format=LOG_MEL)
        ramp_set, starts = tmp_path, [1, 20, 0, 0]
    for windows, tags in batches(ramp_set, "epochs=3", "batch_size=4", "window=centred"):
        for window, clip in zip(windows, tags.argmax(1), strict=True):
            if audio_format == WAVEFORM:
                first = 5000 * clip + starts[clip]
                expected = np.arange(first, first + WINDOW)
                expected[WINDOW - 700 if clip == 3 else WINDOW :] = 0
                assert np.array_equal(np.round(window * 32768), expected)
            else:
                first = 100 * clip + starts[clip]
                expected = np.arange(first, first + 31)
                expected[22 if clip == 3 else 31 :] = 321 - SMALL.top_db  # the clip's floor
                assert np.array_equal(window, np.repeat(expected[:, None], SMALL.n_mels, 1))


def same(left, right):
    return all(
        np.array_equal(a, b)
        for one, two in zip(left, right, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_order_and_windows_depend_on_seed_and_epoch_alone(tone_set):
    options = ["epochs=2", "batch_size=8", f"frontend={WAVEFORM}"]
    tf.random.set_seed(5)
    first = batches(tone_set, *options)
    tf.random.set_seed(0)
    assert len(first) == 6
    assert same(first, batches(tone_set, *options))
    assert not same(first, batches(tone_set, *options, "seed=1"))
    assert not same(first[:3], first[3:])


@pytest.mark.parametrize(
    "options",
    [
        [f"frontend={WAVEFORM}", "shuffle_buffer=5"],
        [f"frontend={LOG_MEL}", "cache_gib=0"],
        [f"frontend={LOG_MEL}", "shuffle_labels=true", "interleave=1"],
        [f"frontend={WAVEFORM}", 'without_tids=["TRTR00001"]', "window=centred"],
    ],
)
def test_a_run_that_goes_on_sees_what_it_would_have_seen(tone_set, options):
    source, config = source_and_config(tone_set, "epochs=3", "batch_size=7", *options)
    whole = list(training_batches(source, config).as_numpy_iterator())
    assert len(whole) == 9
    for step in (1, 3, 5, 9):
        rest = training_batches(source, config, step)
        assert int(rest.cardinality()) == 9 - step
        assert same(whole[step:], rest.as_numpy_iterator())


def test_tracks_are_mixed_anew_in_every_epoch(tmp_path):
    write_dataset(tmp_path, {"train": ramps([WINDOW] * 6)}, list("abcdef"), num_shards=1)
    options = ["epochs=4", "batch_size=6"]
    orders = [tuple(tags.argmax(1)) for _, tags in batches(tmp_path, *options)]
    assert len({*orders, tuple(range(6))}) == 5  # by the buffer alone
    write_dataset(tmp_path, {"train": ramps([WINDOW] * 6)}, list("abcdef"), num_shards=6)
    options += ["shuffle_buffer=1", "interleave=1"]
    orders = [tuple(tags.argmax(1)) for _, tags in batches(tmp_path, *options)]
    assert len({*orders, tuple(range(6))}) == 5  # and the shards


def test_tracks_of_an_epoch_have_windows_of_their_own(tmp_path):
    rows = ramps([WINDOW + 3000] * 6)
    write_dataset(tmp_path, {"train": rows}, list("abcdef"))
    for windows, tags in batches(tmp_path, "epochs=2", "batch_size=6"):
        starts = np.round(windows[:, 0] * 32768) - 5000 * tags.argmax(1)
        assert len(set(starts.tolist())) > 3


def test_every_epoch_sees_every_track_and_drops_the_rest_of_a_batch(tone_set):
    source, config = source_and_config(tone_set, "epochs=3", "batch_size=9")
    dataset = training_batches(source, config)
    assert int(dataset.cardinality()) == 6 == len(list(dataset))
    whole = batches(tone_set, "epochs=2", "batch_size=24", f"frontend={WAVEFORM}")
    assert [tags.sum(axis=0).tolist() for _, tags in whole] == [[12, 12, 12]] * 2
    few = batches(tone_set, "epochs=1", "batch_size=100")
    assert [windows.shape[0] for windows, _ in few] == [24]


@pytest.mark.parametrize("audio_format", [WAVEFORM, LOG_MEL])
@pytest.mark.parametrize("cache", ["cache_gib=1", "cache_gib=0"])
def test_log_mel_windows_are_cut_from_the_whole_clips_spectrogram(tmp_path, audio_format, cache):
    # A loud start and a soft end: in a window of the end the floor is that of the clip.
    samples = np.concatenate([20000 * np.sin(np.arange(4000)), 2 * np.sin(np.arange(4000))])
    rows = [("TR0", samples.astype("<i2"), [1])]
    [(_, frames, _)] = spectrograms(rows)
    stored = rows if audio_format == WAVEFORM else spectrograms(rows)
    write_dataset(tmp_path, {"train": stored}, ["a"], audio_format=audio_format)
    options = ["epochs=12", "batch_size=1", f"frontend={LOG_MEL}", cache]
    kept = source_and_config(tmp_path, *options)[0].cached
    assert kept == (audio_format == WAVEFORM and cache == "cache_gib=1")
    starts = set()
    for windows, _ in batches(tmp_path, *options):
        assert windows.shape == (1, 31, SMALL.n_mels)
        errors = [np.abs(windows[0] - frames[k : k + 31]).max() for k in range(len(frames) - 30)]
        assert min(errors) < 5e-3  # dB, 80 under the loudest
        starts.add(int(np.argmin(errors)))
    assert len(starts) > 6 and max(starts) > 62  # some lie in the soft half alone
    assert frames[70:].min() == frames.max() - 80


def test_spectrograms_that_fit_into_memory_are_made_once(tmp_path):
    write_dataset(tmp_path, {"train": tones(4)}, list(TONES))
    source, config = source_and_config(tmp_path, f"frontend={LOG_MEL}", "epochs=99", "batch_size=4")
    later = training_batches(source, config).as_numpy_iterator()
    next(later)
    for shard in source.shards:
        os.remove(shard)
    assert len(list(later)) == 98


def test_spectrograms_that_take_more_than_they_may_are_made_again(tmp_path):
    write_dataset(tmp_path, {"train": tones(4)}, list(TONES))
    size = 4 * 94 * SMALL.n_mels * 4 / 2**30  # of four clips of 94 frames
    for share, kept in ((0.95, False), (1.05, True)):
        options = [f"frontend={LOG_MEL}", f"cache_gib={share * size}"]
        assert source_and_config(tmp_path, *options)[0].cached is kept


def test_windows_are_drawn_before_they_are_shuffled(tmp_path):
    """The buffer holds windows: to fill it, all tracks are looked at before the first batch."""
    rows = [(f"TR{k}", np.zeros(9, "<i2"), [1] if k < 299 else [1, 1]) for k in range(300)]
    write_dataset(tmp_path, {"train": rows}, ["a"], num_shards=1)
    source, config = source_and_config(tmp_path, "batch_size=1", "window_seconds=0.1")
    with pytest.raises(tf.errors.InvalidArgumentError):  # what the last track is
        next(training_batches(source, config).as_numpy_iterator())


def test_a_short_clip_gives_one_padded_spectrogram(tmp_path):
    rows = tones(8, seconds=0.5)
    short, padded = tmp_path / "short", tmp_path / "padded"
    write_dataset(short, {"train": rows[5:6]}, ["a", "b", "c"])
    longer = [(tid, np.pad(audio, (0, 920)), tags) for tid, audio, tags in rows[5:6]]
    write_dataset(padded, {"train": longer}, ["a", "b", "c"])
    options = ["epochs=1", f"frontend={LOG_MEL}"]
    assert same(batches(short, *options), batches(padded, *options))


def test_targets_follow_the_choice_of_tags(tone_set):
    source, config = source_and_config(
        tone_set, 'merge=[["low", "noise"]]', "without=high", "epochs=1", "batch_size=24"
    )
    assert source.names == ["low"]
    [(_, tags)] = training_batches(source, config).as_numpy_iterator()
    assert tags.shape == (24, 1) and tags.sum() == 18  # 3 of 4 have one or the other


def test_shuffled_labels_are_those_of_other_tracks(ramp_set):
    right = batches(ramp_set, "epochs=3", "batch_size=4")
    dealt = batches(ramp_set, "epochs=3", "batch_size=4", "shuffle_labels=true")
    takes = set()
    for (windows, tags), (same_windows, others) in zip(right, dealt, strict=True):
        assert np.array_equal(windows, same_windows)
        assert others.sum(axis=0).tolist() == [1, 1, 1, 1]
        assert not (tags * others).any()  # none keeps its own
        takes.add(tuple(others.argmax(1)[np.argsort(tags.argmax(1))].tolist()))
    assert len(takes) == 1  # and it is the same deal in every epoch


def test_whole_tracks_are_all_windows_in_order(ramp_set):
    source, _ = source_and_config(ramp_set)
    tracks = whole_tracks(source, batch_size=3)
    order = ["TR0", "TR1", "TR2", "TR3"]
    assert sorted(tracks.tids) == order
    clips = [int(tid[2:]) for tid in tracks.tids]
    assert tracks.truth.tolist() == np.eye(4, dtype=bool)[clips].tolist()
    assert dict(zip(tracks.tids, tracks.counts.tolist(), strict=True)) == {
        "TR0": 2, "TR1": 2, "TR2": 1, "TR3": 1,
    }  # fmt: skip
    windows = np.concatenate(list(tracks.windows.as_numpy_iterator()))
    firsts = {0: [0, 3], 1: [5000, 5900], 2: [10000], 3: [15000]}
    expected = [first for clip in clips for first in firsts[clip]]
    assert np.round(windows[:, 0] * 32768).astype(int).tolist() == expected
    means = tracks.average(np.round(windows[:, :1] * 32768))
    assert means[:, 0].tolist() == [np.mean(firsts[clip]) for clip in clips]


def test_lists_of_ids_choose_the_tracks(tone_set, tmp_path):
    file = tmp_path / "ids.csv"
    file.write_text("track_id,split\nTRTR00003,train\n\nTRTR00017,x\nTRVA00002,y\nTRZZ,z\n")
    for lists, tids in (
        ([f"with_tids={file}"], {"TRTR00003", "TRTR00017"}),
        ([f"with_tids={file}", 'without_tids=["TRTR00003", "TRNONE"]'], {"TRTR00017"}),
        (
            [f"without_tids={file}"],
            {f"TRTR{k:05d}" for k in range(24)} - {"TRTR00003", "TRTR00017"},
        ),
    ):
        options = [*lists, "epochs=2", "batch_size=1", f"frontend={WAVEFORM}"]
        source, config = source_and_config(tone_set, *options)
        assert source.records == len(tids) and set(source.tids) == tids
        assert {tid.decode() for tid in read_tags(source)[0]} == tids
        tracks = {tid.decode(): clip for tid, clip, _ in read_tracks(source).as_numpy_iterator()}
        assert set(tracks) == tids
        seen = list(training_batches(source, config).as_numpy_iterator())
        assert len(seen) == 2 * len(tids)
        for windows, _ in seen:  # each is a cut of one of them
            heard = np.round(windows[0] * 32768).astype(np.int16).tobytes()
            assert sum(heard in clip.tobytes() for clip in tracks.values()) == 1
    source, _ = source_and_config(tone_set, f"with_tids={file}", part="validation")
    assert whole_tracks(source, 4).tids == ["TRVA00002"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('with_tids=["TRX"]', "with_tids and without_tids leave none of the 24 tracks in .*train"),
        ("with_tids=none.txt", "model-training.with_tids: none.txt cannot be read: No such file"),
        ("without_tids=[]", None),
        ("with_tids=7", "with_tids is 7: allowed is a list of track ids, the path of a text"),
        ("window=middle", 'window is "middle": allowed is random, centred'),
        ("interleave=0", "interleave is 0: allowed is a whole number from 1"),
    ],
)
def test_a_choice_that_cannot_be_made_is_said(tone_set, setting, message):
    if message is None:
        assert source_and_config(tone_set, setting)[0].records == 24
    else:
        with pytest.raises(UsageError, match=message):
            source_and_config(tone_set, setting)


@pytest.mark.parametrize("few_cores", [0, 1000])  # read ahead, or one after the other
def test_shards_are_read_side_by_side(tmp_path, monkeypatch, few_cores):
    monkeypatch.setattr(records, "_FEW_CORES", few_cores)
    write_dataset(tmp_path, {"train": tones(7)}, list(TONES), num_shards=3)  # 3, 2 and 2
    orders = {
        1: [0, 3, 6, 1, 4, 2, 5],
        2: [0, 1, 3, 4, 6, 2, 5],
        16: [0, 1, 2, 3, 4, 5, 6],
        10**15: [0, 1, 2, 3, 4, 5, 6],
    }
    for interleave, order in orders.items():
        source, _ = source_and_config(tmp_path, f"interleave={interleave}")
        assert [int(tid[2:]) for tid in read_tags(source)[0]] == order


def test_the_default_buffer_stays_under_one_gib():
    training = Config().training
    spec = AudioSpec()
    waveform = 2 * spec.window_samples(training.window_seconds)
    log_mel = 4 * spec.n_mels * spec.window_frames(training.window_seconds)
    assert max(waveform, log_mel) * training.shuffle_buffer < 2**30


def test_ids_are_read_without_the_audio(tone_set, tmp_path):
    shards = read_dataset(tone_set).shards("train")
    assert [shard_tids(shard) for shard in shards] == [
        [f"TRTR{k:05d}" for k in range(first, 24, 2)] for first in (0, 1)
    ]
    other = tmp_path / "other.tfrecord"
    with tf.io.TFRecordWriter(str(other)) as file:  # another writer's, in another order
        for tid in (b"TRA", b"TRB" * 100):
            example = tf.train.Example()
            example.features.feature["tid"].bytes_list.value.append(tid)
            example.features.feature["zeit"].float_list.value.extend([1.0] * 1000)
            file.write(example.SerializeToString())
    assert shard_tids(str(other)) == ["TRA", "TRB" * 100]
    data = other.read_bytes()
    for damaged in (data[:-1], data[:7], data[:12] + b"x" + data[13:], data + b"\0" * 20):
        other.write_bytes(damaged)
        with pytest.raises(RunError, match=r"other.tfrecord is damaged \(.*\): build the data set"):
            shard_tids(str(other))


def test_what_does_not_fit_is_a_usage_error(tmp_path):
    tone_dataset(tmp_path, train=2, validation=0, test=0)
    with pytest.raises(UsageError, match="window_seconds is 0.1: that is less than a frame"):
        dataset = read_dataset(str(tmp_path))
        spec = ["window_seconds=0.1", f"frontend={LOG_MEL}"]
        object.__setattr__(dataset.spec, "hop_length", 256)
        part_source(dataset, "train", fill(read_config(None, spec), dataset))
    shard = tmp_path / "train" / "waveform-00001-of-00002.tfrecord"
    os.remove(shard)
    with pytest.raises(UsageError, match="waveform-00001-of-00002.tfrecord is missing"):
        source_and_config(tmp_path)


def test_a_survey_has_targets_and_stored_lengths_in_order(ramp_set, tmp_path):
    source, _ = source_and_config(ramp_set, f"frontend={LOG_MEL}")
    tags, lengths = survey(source)
    np.testing.assert_array_equal(tags, read_tags(source)[1])
    by_tag = dict(zip(np.argmax(tags, axis=1).tolist(), lengths.tolist(), strict=True))
    assert by_tag == {0: WINDOW + 3, 1: WINDOW + 900, 2: WINDOW, 3: WINDOW - 700}
    assert needed_length(source) == SMALL.min_samples(LOG_MEL, source.window) < WINDOW
    assert [len(each) for each in survey(source, 3)] == [3, 3]
    stored = tone_dataset(tmp_path, LOG_MEL, train=2, validation=0, test=0, seconds=0.5)
    source, _ = source_and_config(stored)
    assert survey(source)[1].tolist() == [1 + 1000 // 64] * 2
    assert needed_length(source) == source.window
