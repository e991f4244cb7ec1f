"""The published networks: beside what they gave when published, and as taggers of our own."""

import csv
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest

from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.spectrogram import log_mel
from schemas.audio_spec import LOG_MEL, AudioSpec
from schemas.common.errors import UsageError
from schemas.saved_model import find_saved_model, read_lite_info, read_model_info
from serving import lite, predict
from serving.engine.litert import load_lite_signature
from serving.engine.saved_model import load_signature
from tests.helpers import numpy_models
from tests.helpers.models import outputs
from trainer.import_pretrained import main, network_config
from trainer.models.musicnn_package import NETWORKS, SPEC, WINDOW, Package
from trainer.models.pretrained import build_network
from trainer.tagger.clip_tagger import config_tagger, read_checkpoint
from trainer.tagger.saved_model import export_saved_model

pytestmark = pytest.mark.pretrained


@pytest.fixture(scope="module")
def package(musicnn_package):
    return Package(str(musicnn_package))


@pytest.fixture(scope="module")
def networks(package):
    return {name: build_network(name, package, 50) for name in NETWORKS}


@pytest.fixture(scope="module")
def published(fixtures_dir):
    """Scores of the networks as published, and the clips that they are of."""
    return np.load(fixtures_dir / "corpus" / "musicnn_windows.npz")


def read_clip(fixtures_dir, path):
    return load_clip((fixtures_dir / "corpus" / path).read_bytes(), SPEC).samples


def librosa_windows(fixtures_dir, path):
    """The first ten windows of a clip as the package makes them, but in float32."""
    import librosa

    samples, _ = librosa.load(fixtures_dir / "corpus" / path, sr=16000)
    power = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=512, hop_length=256, n_mels=96
    )
    frames = np.log10(10000 * power.T + 1).astype(np.float32)
    return np.stack([frames[start : start + 187] for start in range(0, 1870, 187)])


def compare_tracks(name, score_windows, taggram, published, fixtures_dir, clips):
    """Windows within 1e-4; raw audio within 1e-2, 1e-3 on average, and the same best tag."""
    apart = []
    for path, expected in zip(published["paths"][clips], published[name][clips], strict=True):
        scores = score_windows(librosa_windows(fixtures_dir, path))
        assert np.abs(np.asarray(scores) - expected).max() < 1e-4, path
        served = np.asarray(taggram(read_clip(fixtures_dir, path)[None]))[0, :10]
        assert served.mean(axis=0).argmax() == expected.mean(axis=0).argmax(), path
        apart.append(np.abs(served - expected))
    assert np.max(apart) < 1e-2 and np.mean(apart) < 1e-3


@pytest.mark.fixtures
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_what_they_gave_when_published(
    name, networks, package, published, fixtures_dir
):
    labels = package.labels(name)
    assert labels == published[f"{name[:3]}_labels"].tolist()
    tagger = config_tagger(networks[name], network_config(name, labels))
    compare_tracks(
        name,
        lambda windows: networks[name](windows, training=False),
        lambda audio: tagger.taggram(audio)["scores"],
        published,
        fixtures_dir,
        slice(0, 50, 25),
    )


@pytest.mark.slow
@pytest.mark.fixtures
@pytest.mark.parametrize("name", NETWORKS)
def test_all_clips_through_the_saved_models(
    name, networks, package, published, fixtures_dir, tmp_path
):
    config = network_config(name, package.labels(name))
    export_saved_model(config_tagger(networks[name], config), str(tmp_path / "model"))
    signature = load_signature(str(tmp_path / "model"), "taggram")
    compare_tracks(
        name,
        lambda windows: networks[name](windows, training=False),
        lambda audio: signature(audio)["scores"],
        published,
        fixtures_dir,
        slice(0, 50),
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_their_numpy_statement(name, networks):
    frames = log_mel(0.1 * np.random.default_rng(1).normal(size=48_000).astype(np.float32), SPEC)
    frames[40:80] = 0
    scores, embedding = outputs(networks[name], frames[None, :WINDOW])
    expected, features = numpy_models.scores_and_embedding(networks[name], frames[:WINDOW])
    assert np.abs(scores[0] - expected).max() < 1e-4
    assert np.abs(embedding[0] - features).max() < 1e-3 * np.abs(features).max()


def test_an_import_is_like_a_finished_job(pretrained, package):
    info = read_model_info(find_saved_model(str(pretrained)))
    assert info.labels[:3] == ["rock", "pop", "alternative"] and len(info.labels) == 50
    assert info.spec == AudioSpec(16000, 96, 512, 256, "log10")
    assert (info.frontend, info.window) == (LOG_MEL, 187)
    assert info.licence == package.licence() == (pretrained / "LICENSE.txt").read_text()
    assert "Universitat Pompeu Fabra" in info.licence and "Permission to use" in info.licence
    assert read_lite_info(str(pretrained / "export" / "1.tflite")) == info
    assert json.loads((pretrained / "config.json").read_text()) == info.model
    assert info.model["model"]["name"] == "musicnn" and info.model["model"]["n_dense"] == 200
    assert read_checkpoint(str(pretrained / "checkpoints" / "best.keras")).count_params() == 792_079
    assert sorted(path.name for path in pretrained.iterdir()) == [
        "LICENSE.txt", "checkpoints", "config.json", "export",
    ]  # fmt: skip
    assert pretrained.stat().st_mode & 0o755 == 0o755


@pytest.mark.fixtures
def test_the_service_takes_an_import(pretrained, published, fixtures_dir, tmp_path, capsys):
    path = str(published["paths"][0])
    audio = read_clip(fixtures_dir, path)[None]
    by_lite = load_lite_signature(str(pretrained / "export" / "1.tflite"))(audio)["scores"]
    file, rows = str(fixtures_dir / "corpus" / path), {}
    for module, model in ((predict, ["--model", str(pretrained), "--input"]), (lite, [pretrained])):
        output = tmp_path / f"{module.__name__}.csv"
        assert module.main([*map(str, model), file, "--output", str(output)]) == 0
        with open(output, newline="") as stream:
            rows[module] = next(csv.DictReader(stream))
    scores = np.array(
        [[float(row[tag]) for tag in published["MSD_labels"]] for row in rows.values()]
    )
    assert np.abs(scores - by_lite).max() < 1e-3
    assert published["MSD_labels"][scores[0].argmax()] in capsys.readouterr().out


def test_sources_are_wheels_sdists_and_folders(package, musicnn_package, tmp_path):
    folder = tmp_path / "musicnn-0.1.0"
    with zipfile.ZipFile(musicnn_package) as archive:
        kept = [
            name for name in archive.namelist() if "MTT_vgg/" in name or "configuration" in name
        ]
        archive.extractall(folder, [*kept, "musicnn-0.1.0.dist-info/LICENSE.md"])
    sdist = tmp_path / "musicnn-0.1.0.tar.gz"
    with tarfile.open(sdist, "w:gz", compresslevel=1) as archive:
        archive.add(folder, "musicnn-0.1.0")
    for path in (folder, sdist):
        other = Package(str(path))
        assert other.licence() == package.licence()
        assert other.labels("MTT_vgg") == package.labels("MTT_vgg")
        there, here = other.variables("MTT_vgg"), package.variables("MTT_vgg")
        for variable in ("1CNN/kernel", "dense/bias", "batch_normalization_5/moving_variance"):
            np.testing.assert_array_equal(there(variable), here(variable))
    with pytest.raises(UsageError, match="has no 6CNN/kernel"):
        there("6CNN/kernel")
    with pytest.raises(UsageError, match="it has no MSD_vgg/.index"):
        other.variables("MSD_vgg")
    data = folder / "musicnn" / "MTT_vgg" / ".data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100_000])
    with pytest.raises(UsageError, match="MTT_vgg is damaged"):
        Package(str(folder)).variables("MTT_vgg")
    (folder / "musicnn-0.1.0.dist-info" / "LICENSE.md").unlink()
    output = tmp_path / "out"
    with pytest.raises(UsageError, match="it has no LICENSE.md"):
        main(["MTT_vgg", "--from", str(folder), "--output", str(output)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["musicnn-0.1.0", sdist.name]


def test_bad_use_is_one_line_and_writes_nothing(command, tmp_path, musicnn_package):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.mp3").touch()
    with pytest.raises(UsageError, match="full is there already"):
        main(["MTT_vgg", "--from", str(musicnn_package), "--output", str(tmp_path / "full")])
    with pytest.raises(UsageError, match="none.whl cannot be read: No such file"):
        main(["MTT_vgg", "--from", "none.whl", "--output", str(tmp_path / "a")])
    with pytest.raises(UsageError, match="it is no wheel, sdist or folder"):
        main(["MTT_vgg", "--from", __file__, "--output", str(tmp_path / "a")])
    with pytest.raises(UsageError, match="as published: it has no configuration.py"):
        main(["MTT_vgg", "--from", str(tmp_path / "full"), "--output", str(tmp_path / "a")])
    done = command(
        "trainer.import_pretrained", "MTT_vgg", "--output", tmp_path / "a",
        env={**os.environ, "PIP_NO_INDEX": "1"},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "musicnn==0.1.0 could not be downloaded" in done.stderr and "--from" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
