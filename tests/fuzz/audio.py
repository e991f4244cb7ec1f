"""Damaged audio files of every format through the decoders: ``python -m tests.fuzz.audio``.

Each batch of files is decoded in a process of its own, with a limit of memory. Whatever is not
the documented error, takes more than 10 s or ends the process is written to ``--keep``.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import multiprocessing
import os
import pathlib
import random
import resource
import signal
import sys
import time

import numpy as np

from beam_pipelines.audio import headers
from beam_pipelines.audio.decode import load_clip
from beam_pipelines.audio.errors import AudioError
from schemas.audio_spec import AudioSpec
from tests.helpers.encoded import encode
from tests.helpers.streams import encode_stream

BATCH = 500
SECONDS = 10  # a file may take
MEMORY = 4 << 30  # bytes of address space
STREAMS = {
    "mp3": ("mp3", "libmp3lame"),
    "mp2": ("mp2", "mp2"),
    "m4a": ("mp4", "aac"),
    "alac": ("mp4", "alac"),
    "adts": ("adts", "aac"),
    "wma": ("asf", "wmav2"),
    "webm": ("webm", "libopus"),
    "mka": ("matroska", "pcm_s16le"),
    "wavpack": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "ac3": ("ac3", "ac3"),
}


def make_seeds() -> dict[str, bytes]:
    """A second of sound in each format that the libraries here write."""
    time_axis = np.arange(44_100) / 44_100
    sound = np.stack([np.sin(time_axis * 2000), np.sin(time_axis * 3000)], 1).astype(np.float32) / 3
    seeds = {}
    for kind, (container, codec) in STREAMS.items():
        rate = 48_000 if codec == "libopus" else 44_100
        bit_rate = 128_000 if codec in ("wmav2", "ac3", "mp2") else None
        seeds[kind] = encode_stream(sound, rate, container, codec, bit_rate=bit_rate)
    for kind in ("WAV", "AIFF", "FLAC", "OGG", "CAF", "W64", "AU", "MP3"):
        seeds[kind] = encode(sound, 44_100, kind)
    return seeds


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage a file: flipped bits, runs of one byte, pieces moved, cut or doubled."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        # Half of the damage goes to the header.
        at = rng.randrange(min(len(out), 400) if rng.random() < 0.5 else len(out))
        kind = rng.randrange(6)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif kind == 2:
            out[at : at + rng.randrange(1, 64)] = rng.randbytes(rng.randrange(1, 64))
        elif kind == 3:
            del out[at : at + rng.randrange(1, 2000)]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randrange(1, 2000)]
        else:
            del out[max(at, 1) :]
        if not out:
            return b"\0"
    return bytes(out)


def _late(signum: int, frame: object) -> None:
    raise TimeoutError


def run_batch(
    seed: int, count: int, seeds: dict[str, bytes], keep: str
) -> collections.Counter[str]:
    """Decode `count` damaged files; what became of them, by kind of the file and ending."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _late)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the libraries' chatter
    found = collections.Counter[str]()
    names = sorted(seeds)
    for number in range(count):
        rng = random.Random(seed * 1_000_000 + number)
        name = names[rng.randrange(len(names))]
        data = mutate(seeds[name], rng)
        trace = pathlib.Path(keep) / f"{name}-{seed}-{number}"
        trace.write_bytes(data)  # a crash leaves it there
        began = time.monotonic()
        signal.alarm(SECONDS)
        try:
            headers.probe(data)
            load_clip(data, AudioSpec())
            ending = "decoded"
        except AudioError as error:
            ending = str(error.reason)
        except Exception as error:
            ending = f"WRONG {name}: {type(error).__name__}: {error}"
        signal.alarm(0)
        if time.monotonic() - began > SECONDS:
            ending = f"WRONG {name}: more than {SECONDS} s"
        if not ending.startswith("WRONG"):
            trace.unlink()
        found[ending] += 1
    return found


def fuzz(mutants: int, seed: int, keep: str, workers: int) -> collections.Counter[str]:
    """Decode damaged files in processes; a process that dies counts as ``WRONG``."""
    pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
    seeds = make_seeds()
    total = collections.Counter[str]()
    context = multiprocessing.get_context("spawn")
    batches = range(seed, seed + -(-mutants // BATCH))
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:

        def one(batch: int) -> collections.Counter[str]:
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                count = min(BATCH, mutants - (batch - seed) * BATCH)
                try:
                    return pool.submit(run_batch, batch, count, seeds, keep).result()
                except concurrent.futures.process.BrokenProcessPool:
                    return collections.Counter({f"WRONG: the process of batch {batch} died": 1})

        for done, found in enumerate(threads.map(one, batches), 1):
            total += found
            print(f"\r{done} of {len(batches)} batches", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return total


def main() -> int:
    """Run the program; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default="fuzz", help="folder for the files that went wrong")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    found = fuzz(options.mutants, options.seed, options.keep, options.workers)
    for ending, n in found.most_common():
        print(f"{n:>8,}  {ending}")
    return 1 if any(ending.startswith("WRONG") for ending in found) else 0


if __name__ == "__main__":
    sys.exit(main())
