"""The kinds of sources that a build knows; the last one is meant where none is named."""

from __future__ import annotations

import argparse

from beam_pipelines.sources import labelled, million_song
from beam_pipelines.sources.source import Kind

KINDS: tuple[Kind, ...] = (labelled.KIND, million_song.KIND)


def chosen_kind(args: argparse.Namespace) -> Kind:
    """The first kind whose option is given, or the Million Song Dataset."""
    return next((kind for kind in KINDS if getattr(args, kind.option)), KINDS[-1])
