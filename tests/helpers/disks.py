"""Disks that fail."""

import pathlib
import types
import uuid


def written_under(monkeypatch, path) -> pathlib.Path:
    """The name under which a file is written until it is whole, the same from now on."""
    monkeypatch.setattr(uuid, "uuid4", lambda: types.SimpleNamespace(hex="attempt"))
    return pathlib.Path(f"{path}.attempt.tmp")
