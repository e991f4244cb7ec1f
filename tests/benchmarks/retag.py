"""CPU time a clip of a build and of a retagging, on the reference corpus, in one process.

ORPHEUS_FIXTURES=... python -m tests.benchmarks.retag
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
import time

from beam_pipelines.dataset import layout, options
from beam_pipelines.dataset.finish import finish
from beam_pipelines.dataset.inputs import look
from beam_pipelines.dataset.write import WriteSettings, WriteShard
from beam_pipelines.runtime import storage
from beam_pipelines.scanning.filters import Limits
from beam_pipelines.steps.plan import make_plan
from beam_pipelines.steps.retag import CopyShard, index_records
from schemas.audio_spec import AUDIO_FORMATS
from schemas.manifest import read_dataset


def plan(folder: pathlib.Path, *more: str):
    """The options, the plan and the settings of a data set of the corpus' own labels."""
    corpus = pathlib.Path(os.environ["ORPHEUS_FIXTURES"], "corpus")
    given = ["--manifest", str(corpus / "labels.csv"), "--output", str(folder / "out")]
    args = options.build_parser().parse_args([*given, "--num_shards", "8", *more])
    options.check_together(args)
    work = folder / "work"
    work.mkdir(parents=True)
    planned = make_plan(args, look(args), str(work), [])
    settings = WriteSettings(
        args.audio_dir,
        str(folder / "out"),
        str(work),
        args.audio_format,
        options.audio_spec(args),
        Limits(),
        tuple(tag for tag, _ in planned["vocabulary"]),
        (),
    )
    return args, planned, settings


def write(writer: WriteShard, planned) -> tuple[float, float]:
    """CPU seconds and seconds of the writing."""
    writer.setup()
    started, cpu = time.perf_counter(), time.process_time()
    for shard in planned["shards"]:
        list(writer.process(dataclasses.asdict(layout.Shard(**shard))))
    spent = time.process_time() - cpu, time.perf_counter() - started
    writer.teardown()
    return spent


def main() -> None:
    """Print a line a format."""
    for audio_format in AUDIO_FORMATS:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            args, planned, settings = plan(folder / "one", "--audio_format", audio_format)
            build_cpu, build_seconds = write(WriteShard(settings), planned)
            spec = options.audio_spec(args)
            out = str(folder / "one" / "out")
            finish(out, settings.work, planned, audio_format, spec, {}, 1.0)
            dataset = read_dataset(out)
            more = ("--audio_format", audio_format, "--top_tags", "20")
            _, planned, settings = plan(folder / "two", *more)
            records = str(folder / "records.parquet")
            storage.write_table(records, index_records(dataset))
            copier = CopyShard(settings, out, records)
            copy_cpu, copy_seconds = write(copier, planned)
            clips = sum(dataset.records(part) for part in dataset.parts)
        print(
            f"{audio_format}: {clips} clips; CPU ms a clip: build {1000 * build_cpu / clips:.1f}, "
            f"retag {1000 * copy_cpu / clips:.2f}, ratio {build_cpu / copy_cpu:.1f}; "
            f"ms a clip: build {1000 * build_seconds / clips:.1f}, "
            f"retag {1000 * copy_seconds / clips:.2f}"
        )


if __name__ == "__main__":
    main()
