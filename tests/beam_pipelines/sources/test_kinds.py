"""The sources that there are, and the page that describes them."""

import re
import shlex

import pytest

from beam_pipelines.dataset import options
from beam_pipelines.sources.kinds import KINDS
from tests.helpers.places import ROOT

PAGE = (ROOT / "docs" / "datasets.md").read_text()


def commands(module):
    text = PAGE.replace("\\\n", " ")
    found = re.findall(rf"^    python -m beam_pipelines\.{module} (.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in found]


def test_the_page_has_a_row_for_each_source():
    described = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", PAGE, re.MULTILINE)
    assert [name for name, _ in described] == [
        *("msd", "labels", "mtg-jamendo", "magnatagatune", "fma", "folders", "file-tags")
    ]
    assert {kind.name for kind in KINDS} == {name for name, _ in described}
    for name, row in described:
        (kind,) = [kind for kind in KINDS if kind.name == name]
        assert ("official" in row) is kind.official
        assert ("unknown" in row) is (kind.untagged == "drop")


@pytest.mark.parametrize("words", commands("build")[1:], ids=lambda words: words[1])
def test_the_commands_of_the_page_are_right(words):
    args = options.build_parser().parse_args(words)
    options.check_together(args)
    assert args.untagged in ("keep", "drop") and args.split


def test_retag_on_the_page():
    (words,) = commands("retag")
    given = options.retag_parser().parse_args(words)
    built = options.build_parser().parse_args(["--manifest", "songs.csv", "--output", "x"])
    options.check_together(built)
    args = options.as_built(given, vars(built))
    options.check_together(args)
    assert (args.top_tags, args.manifest, args.output) == (20, "songs.csv", "other")
