"""serving.web: a real server with a real model, asked by sockets and by a browser."""

import base64
import concurrent.futures
import contextlib
import functools
import http.client
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.errors import AudioError
from schemas.audio_spec import LOG_MEL, AudioSpec
from schemas.common.errors import UsageError
from schemas.saved_model import SERVE, TAGGRAM
from serving import web
from serving.engine.saved_model import load_signature
from serving.webapp import app, guard
from tests.helpers.devtools import open_tab
from tests.helpers.places import ROOT

SPEC = AudioSpec()
WINDOW = 40  # frames: 1.28 s
LABELS = ["rock", "<b>drum & bass</b>", "café", *(f"tag {k}" for k in range(10))]
THRESHOLDS = [0.3 + 0.03 * k for k in range(len(LABELS))]
MAX_SIZE, MAX_SECONDS = 3, 40  # MB, s


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job directory with a small tagger of random weights."""
    from tests.helpers.models import randomise
    from trainer.models.registry import build_model
    from trainer.tagger.clip_tagger import Tagger
    from trainer.tagger.saved_model import export_saved_model

    options = {"n_filters": 1, "n_dense": 8}
    shape = {"frontend": LOG_MEL, "window": WINDOW, "n_mels": SPEC.n_mels, "n_tags": len(LABELS)}
    model = randomise(build_model("pons", **shape, **options))
    folder = tmp_path_factory.mktemp("job")
    tagger = Tagger(model, SPEC, LOG_MEL, WINDOW, LABELS, {"name": "pons"}, "CC0-1.0", THRESHOLDS)
    export_saved_model(tagger, str(folder / "export" / "1"))
    return folder


@pytest.fixture(scope="module")
def saved_model(job):
    """Gives a signature of the model."""
    return functools.cache(lambda name: load_signature(str(job / "export" / "1"), name))


class Server:
    """The command, running; its working and temporary directories hold nothing else."""

    def __init__(self, job, home, *options):
        self.folders = [home / "work", home / "temporary"]
        for folder in self.folders:
            folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serving.web", "--model", str(job), "--port", "0", *options],
            cwd=self.folders[0],
            env={**os.environ, "TMPDIR": str(self.folders[1]), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = [self.process.stdout.readline() for _ in range(2)]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said[1])
        if not found:
            self.process.kill()
        assert found, (self.said, self.process.communicate())
        self.url, self.port = found[0], int(found[1])

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and content (of JSON: the values) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        if answer.headers["content-type"] == "application/json":
            content = json.loads(content)
        return answer.status, answer.headers, content

    def tag(self, data):
        """Status and values that audio gets."""
        status, _, values = self.ask("POST", "/tag", data)
        return status, values

    def end(self):
        """Ctrl-C; exit code, and what it said since the address."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def server(job, tmp_path_factory):
    limits = ("--max_size", str(MAX_SIZE), "--max_seconds", str(MAX_SECONDS))
    server = Server(job, tmp_path_factory.mktemp("server"), *limits)
    yield server
    # Ctrl-C in the middle of an upload is a good end all the same.
    link = socket.create_connection(("127.0.0.1", server.port))
    link.sendall(f"POST /tag HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode())
    link.sendall(b"Content-Length: 1000\r\n\r\nhalf")
    assert server.ask("GET", "/about")[0] == 200
    assert server.end() == (0, "\nstopped\n", "")
    link.close()


def music(seconds=4.0, rate=22050, channels=2, seed=0):
    """Samples float [n, channels] that change over time."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 600 * (t // 1)) * t) * (t % 2 < 1.5)
    return tone[:, None] + 0.05 * rng.standard_normal((len(t), channels))


def encoded(samples, rate=22050, **options):
    """A file's bytes; WAV unless `format` says another."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **{"format": "WAV", **options})
    return file.getvalue()


# What is answered


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One piece of music in each format."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("wav", "flac", "ogg", "mp3"):
        (folder / f"clip.{name}").write_bytes(encoded(music(), format=name.upper()))
    return folder


def windows(values):
    """Scores [windows, tags] of an answer."""
    return np.array([each["scores"] for each in values["taggram"]]).T


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "clip.ogg", "clip.mp3"])
def test_tags_and_windows_are_those_of_the_model(server, saved_model, files, name):
    data = (files / name).read_bytes()
    status, values = server.tag(data)
    assert status == 200
    clip = load_clip(data, SPEC)
    (means,) = saved_model(SERVE)(clip.samples[None])["scores"]
    outputs = saved_model(TAGGRAM)(clip.samples[None])
    order = [LABELS.index(each["tag"]) for each in values["tags"]]
    assert sorted(order) == list(range(len(LABELS)))
    scores = [each["score"] for each in values["tags"]]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, means[order], atol=1e-4)
    chosen = [LABELS[k] for k in order if means[k] >= THRESHOLDS[k]]
    assert values["chosen"] == chosen and 1 < len(chosen) < len(LABELS)
    assert [each["tag"] for each in values["taggram"]] == [LABELS[k] for k in order]
    np.testing.assert_allclose(windows(values), outputs["scores"][0][:, order], atol=1e-4)
    np.testing.assert_allclose(values["starts"], outputs["starts"], atol=1e-3)
    assert len(values["starts"]) == 4
    assert values["window"] == WINDOW * SPEC.hop_length / SPEC.sample_rate
    assert values["duration"] == pytest.approx(4, abs=0.1) and values["warnings"] == []
    assert np.ptp(outputs["scores"][0], axis=0).max() > 0.01  # windows differ


def test_tags_are_those_of_predict(server, job, files, tmp_path, command):
    file, output = files / "clip.mp3", tmp_path / "row.jsonl"
    done = command("serving.predict", "--model", job, "--input", file, "--output", output)
    assert done.returncode == 0, done.stderr
    expected = json.loads(output.read_text())["tags"]
    tags = server.tag(file.read_bytes())[1]["tags"]
    assert [each["tag"] for each in tags] == [each["tag"] for each in expected]
    for one, other in zip(tags, expected, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_a_short_clip_is_padded_and_says_so(server, saved_model):
    data = encoded(music(0.5))
    status, values = server.tag(data)
    samples = load_clip(data, SPEC).samples
    (scores,) = saved_model(SERVE)(samples[None])["scores"]
    assert (status, values["warnings"], values["starts"]) == (200, ["padded"], [0.0])
    assert values["duration"] == 0.5
    best = {each["tag"]: each["score"] for each in values["tags"]}
    np.testing.assert_allclose([best[label] for label in LABELS], scores, atol=1e-4)


def test_about(server):
    status, _, values = server.ask("GET", "/about")
    assert status == 200
    assert values == {
        "tags": len(LABELS),
        "licence": "CC0-1.0",
        "max_size": MAX_SIZE * 1_000_000,
        "max_seconds": MAX_SECONDS,
    }


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"dear diary\n" * 99, "No audio can be decoded"),
        (encoded(music(0)), "The file holds no audio."),
        (encoded(music())[:20], "No audio can be decoded"),
    ],
    ids=["empty", "text", "no samples", "half a header"],
)
def test_what_is_no_audio(server, data, sentence):
    status, values = server.tag(data)
    assert status == 400 and values["error"].startswith(sentence)


@pytest.mark.fixtures
def test_every_file_of_the_mini_corpus_is_answered(server, fixtures_dir):
    paths = sorted((fixtures_dir / "mini-msd" / "7digital").rglob("*.*"))
    manifest = json.loads((fixtures_dir / "mini-msd" / "audio_manifest.json").read_text())
    odd = {each["path"] for each in manifest if each["what"] != "ordinary"}
    root = fixtures_dir / "mini-msd" / "7digital"
    paths = [path for path in paths if path.is_file() and str(path.relative_to(root)) in odd]
    answers = []
    for path in paths:
        data = path.read_bytes()
        status, values = server.tag(data)
        try:
            clip = load_clip(data, SPEC)
        except AudioError:
            answers.append((400, 1))
            assert status == 400 and list(values) == ["error"]
        else:
            assert status == 200, path
            assert values["duration"] == pytest.approx(clip.hearing.duration, abs=1e-3)
            answers.append((200, 0))
    assert len(set(answers)) == 2


# What is refused


def chunks(data, size=65536):
    yield from (data[at : at + size] for at in range(0, len(data), size))


def test_too_large(server):
    data = bytes(MAX_SIZE * 1_000_000 + 1)
    sentence = {"error": "The file is larger than 3 MB (--max_size)."}
    status, _, values = server.ask("POST", "/tag", None, {"content-length": str(len(data))})
    assert (status, values) == (413, sentence)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        head = f"POST /tag HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        link.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        answer = b""
        with contextlib.suppress(ConnectionError):
            for chunk in chunks(data):
                link.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        with contextlib.suppress(ConnectionError):
            while more := link.recv(65536):
                answer += more
                if answer.endswith(b"}"):
                    break
    assert b" 413 " in answer and answer.endswith(
        json.dumps(sentence, separators=(",", ":")).encode()
    )


def test_as_large_as_allowed(server):
    size = MAX_SIZE * 1_000_000
    status, values = server.tag(encoded(np.zeros((size - 44) // 2), 48000))
    assert status == 200 and values["duration"] == pytest.approx((size - 44) / 2 / 48000, abs=1e-3)


TOO_LONG = "The audio is longer than 40 s (--max_seconds)."


@pytest.mark.parametrize("name", ["FLAC", "OGG", "MP3", "WAV"])
def test_too_long(server, name):
    subtype = {"subtype": "PCM_U8"} if name == "WAV" else {}
    data = encoded(np.zeros(8000 * (MAX_SECONDS + 1)), 8000, format=name, **subtype)
    status, values = server.tag(data)
    assert (status, values) == (413, {"error": TOO_LONG})


def test_a_header_that_claims_days_is_not_believed(server):
    """What counts is what has been decoded: a second."""
    data = bytearray(encoded(np.zeros(8000), 8000, format="FLAC"))
    data[21] |= 0x0F  # the 36-bit number of samples
    data[22:26] = b"\xff" * 4
    status, values = server.tag(bytes(data))
    assert (status, values["duration"]) == (200, 1.0)


def test_too_long_without_a_header_that_says_so(server):
    """Foreign bytes before the frames: only decoding tells the length."""
    data = b"\xff\x00" * 3000 + encoded(music(MAX_SECONDS + 1), format="MP3")
    assert server.tag(data) == (413, {"error": TOO_LONG})
    data = b"\xff\x00" * 3000 + encoded(music(MAX_SECONDS - 1), format="MP3")
    assert server.tag(data)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tag", 405),
        ("PUT", "/tag", 405),
        ("POST", "/", 405),
        ("DELETE", "/about", 405),
        ("GET", "/nothing", 404),
        ("GET", "/../web.py", 404),
        ("GET", "/page/index.html", 404),
    ],
)
def test_wrong_addresses(server, method, path, status):
    got, headers, values = server.ask(method, path)
    assert got == status and set(values) == {"error"}
    assert headers["content-security-policy"].startswith("default-src 'none'")
    if status == 405:
        assert headers["allow"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:{port}", "origin": "http://evil.example:{port}"}, 403),
        ({"host": ""}, 403),
        ({"host": "["}, 403),
        ({"host": "127.0.0.1.evil.example:{port}"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:{port}"}, 403),
        ({"origin": "http://127.0.0.1:{port}"}, 200),
        ({"host": "localhost:{port}", "origin": "http://localhost:{port}"}, 200),
        ({"host": "LocalHost:{port}"}, 200),
        ({}, 200),
    ],
)
def test_other_sites_cannot_use_the_server(server, headers, status):
    headers = {key: value.format(port=server.port) for key, value in headers.items()}
    got, given, values = server.ask("POST", "/tag", encoded(music(0.2)), headers)
    assert got == status
    assert ("error" in values) == (status != 200)
    assert given["access-control-allow-origin"] is None
    if "host" in headers:
        assert server.ask("GET", "/about", None, headers)[0] == status


def test_names_that_the_server_goes_by():
    from starlette.datastructures import Headers

    def refused(named, host):
        return guard.refused(Headers({"host": named}), host) is not None

    assert not refused("music.home:8000", "Music.home")
    assert not refused("192.168.1.7:8000", "0.0.0.0")
    assert not refused("[::1]:8000", "::1")
    assert refused("music.home:8000", "0.0.0.0")


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_the_address_is_one_that_a_browser_can_open():
    for host, start in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")):
        if host == "::1" and not has_ipv6():
            continue
        with web.listen(host, 0) as listener:
            port = listener.getsockname()[1]
            assert web.address(listener) == f"http://{start}:{port}"
            with pytest.raises(UsageError, match=f"port {port} of {re.escape(host)} is in use"):
                web.listen(host, port)


# How it behaves


def test_requests_at_the_same_time(server):
    data = [encoded(music(6, seed=k)) for k in range(3)] * 4
    expected = [server.tag(each) for each in data[:3]]
    with concurrent.futures.ThreadPoolExecutor(len(data)) as pool:
        running = [pool.submit(server.tag, each) for each in data]
        waits = []
        while not all(each.done() for each in running):
            began = time.monotonic()
            assert server.ask("GET", "/about")[0] == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.02)
        answers = [each.result() for each in running]
    assert answers == expected * 4
    assert {status for status, _ in answers} == {200} and max(waits) < 5


def test_who_goes_away_leaves_the_others_alone(server):
    data = encoded(music())
    head = f"POST /tag HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(data)}\r\n"
    for sent in [data[:1000]] * 2 * app.BODIES + [data] * 3:
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.sendall(f"{head}\r\n".encode() + sent)
    assert server.tag(data)[0] == 200


@pytest.mark.skipif(not pathlib.Path("/proc/self/io").exists(), reason="counts writes by /proc")
def test_nothing_is_written_anywhere(server):
    def written():
        io_counts = pathlib.Path(f"/proc/{server.process.pid}/io").read_text()
        return int(re.search(r"^write_bytes: (\d+)", io_counts, re.MULTILINE)[1])

    before = written()
    assert server.tag(encoded(music(20)))[0] == 200
    assert server.tag(b"text" * 100_000)[0] == 400
    assert server.tag(encoded(np.zeros(8000 * 100), 8000))[0] == 413
    assert written() - before < 10_000
    found = [path for folder in server.folders for path in folder.rglob("*") if path.is_file()]
    assert found == []


def test_the_page_is_all_there(server):
    names = {name for name, _ in app.FILES.values()}
    assert names == {path.name for path in app.PAGE.iterdir()}
    for path, (name, media_type) in app.FILES.items():
        status, headers, content = server.ask("GET", path)
        assert (status, content) == (200, (app.PAGE / name).read_bytes())
        assert headers["content-type"].split(";")[0] == media_type
        assert "server" not in headers
        for key, value in guard.HEADERS.items():
            assert headers[key] == value
        assert not re.search(rb"(?<!xmlns=\")https?://", content)


def test_a_port_in_use_is_one_line(server, job, command):
    done = command("serving.web", "--model", job, "--port", server.port)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: port {server.port} of 127.0.0.1 is in use: "
        "choose another with --port (0 takes a free one)\n"
    )


def test_bad_options(job, tmp_path):
    for options, message in (
        (["--port", "70000"], "--port is 70000"),
        (["--max_size", "0"], "--max_size: '0' is not a number above 0"),
        (["--max_seconds", "nan"], "--max_seconds: 'nan' is not a number above 0"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: "),
        (["--host", "203.0.113.7", "--port", "0"], "cannot listen at 203.0.113.7, port 0"),
        (["--model", str(tmp_path)], "holds no exported model"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            web.main(["--model", str(job), *options])


def test_a_lite_model_gives_the_same(server, job, files, tmp_path):
    from trainer.tagger.litert import export_lite

    lite = Server(export_lite(str(job / "export" / "1")), tmp_path)
    data = (files / "clip.flac").read_bytes()
    expected, (status, values) = server.tag(data)[1], lite.tag(data)
    assert lite.end() == (0, "\nstopped\n", "")
    assert status == 200 and values.keys() == expected.keys()
    scores = {each["tag"]: each["score"] for each in values["tags"]}
    for each in expected["tags"]:
        assert scores[each["tag"]] == pytest.approx(each["score"], abs=1e-3)


def test_what_it_says(server, job):
    assert server.said[0] == f"loading {job / 'export' / '1'} …\n"
    assert server.said[1] == f"open {server.url} (Ctrl-C ends)\n"


# In a browser


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    """A WAV file for the browser's microphone: 440 Hz, again and again."""
    file = tmp_path_factory.mktemp("microphone") / "tone.wav"
    t = np.arange(48000 * 2) / 48000
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * 440 * t), 48000)
    return file


@pytest.fixture(scope="module")
def browser_tab(chromium, tone):
    options = (
        *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
        f"--use-file-for-fake-audio-capture={tone}",
        "--autoplay-policy=no-user-gesture-required",
    )
    with open_tab(chromium, *options) as tab:
        yield tab


@pytest.fixture
def tab(browser_tab, server):
    """The page in a wide window, as it comes."""
    browser_tab.dark(False)
    browser_tab.open(server.url)
    browser_tab.wait("document.getElementById('about').textContent")
    browser_tab.console.clear()
    return browser_tab


def state(tab, wanted):
    """Wait for a state of the page, and see that no script failed on the way."""
    tab.wait(f"['error', '{wanted}'].includes(document.body.dataset.state)")
    assert tab.value("document.body.dataset.state") == wanted, tab.value("document.body.innerText")


def lines(tab):
    """Tags, scores and shown scores of the list."""
    found = tab.value(
        "[...document.querySelectorAll('#tags li')].map(line => [line.firstChild.textContent, "
        "Number(line.dataset.score), line.querySelector('b').textContent, "
        "line.querySelector('i').style.getPropertyValue('--share')])"
    )
    for _, score, text, share in found:
        assert text == f"{score:.2f}" and float(share[:-1]) == pytest.approx(100 * score)
    return [{"tag": tag, "score": score} for tag, score, *_ in found]


def pixels(tab):
    """The canvas as an array [height, width, 3]."""
    url = tab.value("document.getElementById('canvas').toDataURL()")
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
        return np.asarray(image.convert("RGB")).astype(float)


@pytest.mark.browser
def test_a_file_is_tagged_and_drawn(tab, server, files):
    expected = server.tag((files / "clip.mp3").read_bytes())[1]
    tab.choose("#file", files / "clip.mp3")
    state(tab, "done")
    assert lines(tab) == expected["tags"][:10]
    assert tab.value("document.getElementById('name').textContent") == "clip.mp3"
    facts = tab.value("document.getElementById('facts').textContent")
    reach = f"{len(expected['chosen'])} tags reach their thresholds (✓)"
    assert facts == f"0:04 min, heard in 4 windows of 1.3 s; {reach}"
    best = ", ".join(each["tag"] for each in expected["tags"][:3])
    assert (
        tab.value("document.getElementById('message').textContent") == f"Tagged. The best: {best}."
    )
    assert tab.value("({...document.getElementById('canvas').dataset})") == {
        "rows": "10",
        "columns": "4",
    }
    check_picture(tab, expected, 10)
    tab.value("document.getElementById('more').click()")
    assert lines(tab) == expected["tags"]
    assert expected["chosen"] == tab.value(
        "[...document.querySelectorAll('#tags .chosen')].map(line => line.dataset.tag)"
    )
    tab.wait(f"document.getElementById('canvas').dataset.rows === '{len(LABELS)}'")
    check_picture(tab, expected, len(LABELS))
    table = tab.value(
        "[...document.querySelectorAll('#table tbody tr')].map(row => "
        "[...row.cells].map(cell => cell.textContent))"
    )
    for k, row in enumerate(table):
        scores = [f"{score:.2f}" for score in expected["taggram"][k]["scores"]]
        assert row == [expected["tags"][k]["tag"], *scores]
    assert tab.console == []
    local = [url for url in tab.requests if not url.startswith(("data:", "blob:", "about:"))]
    assert all(url.startswith(server.url + "/") for url in local)


def edges(values):
    """Ends of the columns: a moment belongs to the window whose middle is nearest."""
    middles = np.array(values["starts"]) + values["window"] / 2
    return np.array([0, *(middles[1:] + middles[:-1]) / 2, values["duration"]])


def check_picture(tab, values, rows):
    """The higher a score, the darker its cell, where rows and windows are."""
    image = pixels(tab)
    ends = edges(values) / values["duration"] * image.shape[1]
    height = image.shape[0] / rows
    scores, colours = [], []
    for row in range(rows):
        for column, window in enumerate(windows(values)):
            left, right = (int(np.rint(end)) + 1 for end in ends[column : column + 2])
            cell = image[int(row * height) + 2 : int((row + 1) * height) - 3, left : right - 3]
            assert np.ptp(cell.reshape(-1, 3), axis=0).max() == 0
            scores.append(window[row])
            colours.append(cell[0, 0].sum())
    order = np.argsort(scores)
    assert np.all(np.diff(np.array(colours)[order]) <= 2)
    assert np.ptp(colours) > 100


@pytest.mark.browser
def test_the_play_head_follows_and_a_click_seeks(tab, server, files):
    values = server.tag((files / "clip.wav").read_bytes())[1]
    tab.choose("#file", files / "clip.wav")
    state(tab, "done")
    tab.wait("document.getElementById('player').readyState === 4")
    assert tab.value("document.getElementById('player').duration") == values["duration"]
    head = "parseFloat(document.getElementById('head').style.left)"
    now = "document.getElementById('now').textContent"
    assert tab.value(head) == 0
    said = set()
    for column, window in enumerate(windows(values)):
        middle = float(edges(values)[column : column + 2].mean())
        tab.value(f"document.getElementById('player').currentTime = {middle}")
        tab.wait(f"document.getElementById('head').dataset.column === '{column}'")
        assert tab.value(head) == pytest.approx(100 * middle / values["duration"], abs=0.1)
        best = np.argsort(-np.array(window), kind="stable")[:3]
        names = [f"{values['tags'][k]['tag']} {window[k]:.2f}" for k in best]
        assert tab.value(now).endswith(" ".join(names))
        marked = tab.value(
            "[...document.querySelectorAll('#rows .now')].map(row => row.textContent)"
        )
        assert marked == [values["tags"][k]["tag"] for k in sorted(best) if k < 10]
        said.add(tab.value(now))
    assert len(said) == len(values["starts"])
    left, top, width, height = tab.value(
        "(box => [box.left, box.top, box.width, box.height])"
        "(document.getElementById('canvas').getBoundingClientRect())"
    )
    x, y = left + 0.3 * width, top + 2.5 * height / 10
    tab.mouse(x, y, "mouseMoved")
    column = int(np.searchsorted(edges(values), 0.3 * values["duration"])) - 1
    tip = tab.value("document.getElementById('tip').textContent").split(" · ")
    assert tip[0] == values["tags"][2]["tag"]
    assert tip[2] == f"{windows(values)[column, 2]:.2f}"
    tab.mouse(x, y, "mousePressed", "mouseReleased")
    tab.wait("!document.getElementById('player').seeking")
    at = tab.value("document.getElementById('player').currentTime")
    assert at == pytest.approx(0.3 * values["duration"], abs=0.02)
    before = tab.value(head)
    tab.value("document.getElementById('player').play()")
    tab.wait(f"{head} > {before} + 2")
    tab.value("document.getElementById('player').pause()")
    assert tab.console == []


@pytest.mark.browser
def test_a_recording_is_tagged(tab, server):
    # The policy of the page allows no script to fetch what it plays.
    tab.call("Page.setBypassCSP", enabled=True)
    tab.open(server.url)
    tab.value("document.getElementById('record').click()")
    state(tab, "recording")
    tab.wait("document.getElementById('elapsed').textContent >= '0:02'")
    level = "new DOMMatrix(document.getElementById('level').style.transform).a"
    tab.wait(f"Math.abs({level} - {1 - 9 / 60}) < 0.03")  # a sine of 0.5: -9 dB of 60
    tab.value("document.getElementById('stop').click()")
    state(tab, "done")
    assert tab.value("document.getElementById('name').textContent") == "Recording.wav"
    recorded = tab.value(
        "fetch(document.getElementById('player').src).then(r => r.arrayBuffer())"
        ".then(b => btoa(Array.from(new Uint8Array(b), x => String.fromCharCode(x)).join('')))"
    )
    data = base64.b64decode(recorded)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert samples.ndim == 1 and 2 <= len(samples) / rate < 20
    second = samples[-rate:]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(len(second))))
    assert spectrum.argmax() == pytest.approx(440, abs=1)
    assert np.abs(second).max() == pytest.approx(0.5, abs=0.05)
    assert lines(tab) == server.tag(data)[1]["tags"][:10]
    tab.call("Page.setBypassCSP", enabled=False)


@pytest.mark.browser
def test_errors_are_said(tab, server, files, tmp_path):
    (tmp_path / "notes.txt").write_text("no music")
    (tmp_path / "large.wav").write_bytes(bytes(MAX_SIZE * 1_000_000 + 1))
    (tmp_path / "long.wav").write_bytes(encoded(np.zeros(8000 * 50), 8000, subtype="PCM_U8"))
    error = "document.getElementById('error').textContent"
    for name, sentence in (
        ("notes.txt", "notes.txt: No audio can be decoded from this file"),
        ("large.wav", "large.wav has 3 MB, the limit is 3 MB."),
        ("long.wav", f"long.wav: {TOO_LONG}"),
    ):
        tab.choose("#file", files / "clip.wav")
        state(tab, "done")
        assert tab.value(error) == ""
        tab.choose("#file", tmp_path / name)
        tab.wait("document.body.dataset.state === 'error'")
        assert tab.value(error).startswith(sentence)
        assert tab.value("getComputedStyle(document.getElementById('result')).display") == "none"


@pytest.mark.browser
def test_by_keyboard(tab):
    for name in ("file", "record"):
        tab.key("Tab", "Tab", 9)
        assert tab.value("document.activeElement.id") == name
        shown = "(document.activeElement.labels[0] ?? document.activeElement)"
        assert tab.value(f"getComputedStyle{shown}.outlineStyle") == "solid"
    tab.key("Enter", "Enter", 13, "\r")
    state(tab, "recording")
    assert tab.value("document.activeElement.id") == "stop"
    tab.wait("document.getElementById('level').style.transform")
    tab.key("Enter", "Enter", 13, "\r")
    state(tab, "done")
    assert tab.value("document.activeElement.textContent") == "Recording.wav"
    assert tab.console == []


DROP = """(names => {
    const dataTransfer = new DataTransfer();
    const bytes = Uint8Array.from(atob("DATA"), x => x.charCodeAt(0));
    names.forEach(name => dataTransfer.items.add(new File([bytes], name)));
    const options = {dataTransfer, bubbles: true, cancelable: true};
    return document.querySelector("h1").dispatchEvent(new DragEvent("drop", options));
})"""


@pytest.mark.browser
def test_dropped(tab, server, files):
    data = (files / "clip.ogg").read_bytes()
    drop = DROP.replace("DATA", base64.b64encode(data).decode())
    assert tab.value(f"{drop}(['a.ogg', 'b.ogg'])") is False  # the browser does not open it
    error = tab.value("document.getElementById('error').textContent")
    assert error.startswith("One file at a time")
    tab.value(f"{drop}(['<i>dropped.ogg'])")
    state(tab, "done")
    assert tab.value("document.getElementById('name').textContent") == "<i>dropped.ogg"
    assert lines(tab) == server.tag(data)[1]["tags"][:10]
    assert tab.console == []


# Least contrast of text, widest element, smallest letters.
MEASURE = """(() => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(
      c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
    }
  };
  const contrast = element => {
    const [low, high] = [getComputedStyle(element).color, behind(element)].map(luminance).sort(
      (x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll("body *")].filter(
    e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.offsetHeight > 1);
  return {
    contrast: Math.min(...texts.map(contrast)), texts: texts.length,
    wide: document.documentElement.scrollWidth - innerWidth,
    smallest: Math.min(...texts.map(e => parseFloat(getComputedStyle(e).fontSize))),
    picture: document.getElementById("canvas").clientWidth,
    rows: [...document.querySelectorAll("#rows div")].map(e => e.offsetHeight),
    paper: getComputedStyle(document.body).backgroundColor,
  };
})()"""


@pytest.mark.browser
def test_the_layout_in_both_schemes(tab, server, files, tmp_path):
    (tmp_path / "notes.txt").write_text("no music")
    for name, wanted in ((tmp_path / "notes.txt", "error"), (files / "clip.flac", "done")):
        tab.choose("#file", name)
        tab.wait(f"document.body.dataset.state === '{wanted}'")
        for dark, paper in ((False, "rgb(252, 252, 251)"), (True, "rgb(20, 23, 27)")):
            tab.dark(dark)
            for width in (320, 360, 800, 1400):
                tab.resize(width, 800)
                found = tab.value(MEASURE)
                assert found["wide"] <= 0 and found["paper"] == paper
                assert found["contrast"] >= 4.5 and found["smallest"] >= 12
                assert found["texts"] > (40 if wanted == "done" else 5)
                if wanted == "done":
                    assert found["picture"] > 150 and set(found["rows"]) == {24}
