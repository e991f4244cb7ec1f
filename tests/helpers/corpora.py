"""Builds of the reference corpora, shared by the tests."""

import hashlib
import json
import pathlib
import sys

CORPUS_TAGS = ("--tag_cleaning", "none")
MINI_FILTERS = (
    *("--min_file_size", "200000", "--min_effective_length", "15"),
    *("--max_total_silence", "3", "--max_silence", "1"),
)


def msd_options(folder: pathlib.Path, output: pathlib.Path) -> list[str]:
    """The build's options for a folder in the Million Song Dataset's formats."""
    files = {
        "audio_dir": folder / "7digital",
        "msd_summary": folder / "msd_summary_file.h5",
        "lastfm_db": folder / "lastfm_tags.db",
        "mismatches": folder / "sid_mismatches.txt",
        "duplicates": folder / "msd_duplicates.txt",
        "output": output,
    }
    return [text for name, path in files.items() for text in (f"--{name}", str(path))]


def mini_options(fixtures: pathlib.Path, output: pathlib.Path) -> list[str]:
    """The build of the mini Million Song Dataset, as its expected results were made."""
    return [
        *msd_options(fixtures / "mini-msd", output),
        *("--tag_lists", str(fixtures / "tag-lists")),
        *("--tag_threshold", "30", "--tag_pool_threshold", "2", "--num_shards", "6"),
        *MINI_FILTERS,
    ]


def build_command(*options) -> list[str]:
    """A build as a process of its own."""
    return [sys.executable, "-m", "beam_pipelines.build", *map(str, options)]


def contents(output: pathlib.Path) -> dict[str, str]:
    """What must be the same for the same inputs: sha256 of each file, the manifest's data."""
    found = {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name != "dataset.json"
    }
    manifest = json.loads((output / "dataset.json").read_text())
    return found | {"data": json.dumps(manifest["data"], sort_keys=True)}
