"""Disks that fail."""

import builtins
import os
import pathlib
import types
import uuid


def written_under(monkeypatch, path) -> pathlib.Path:
    """The name under which a file is written until it is whole, the same from now on."""
    monkeypatch.setattr(uuid, "uuid4", lambda: types.SimpleNamespace(hex="attempt"))
    return pathlib.Path(f"{path}.attempt.tmp")


def failing(monkeypatch, errors: dict[str, list[int]]) -> dict[str, list[int]]:
    """Let files, known by the end of their paths, fail to open: with each number once.

    The last number of a list stays for ever if it is followed by None. Gives what is left.
    """
    real_open, real_os_open = builtins.open, os.open
    left = {name: list(numbers) for name, numbers in errors.items()}

    def check(path) -> None:
        for name, numbers in left.items():
            if isinstance(path, str) and path.endswith(name) and numbers:
                number = numbers[0]
                if len(numbers) < 2 or numbers[1] is not None:
                    numbers.pop(0)
                raise OSError(number, os.strerror(number), path)

    def open_or_fail(path, mode="r", *args, **kwargs):
        if "opener" not in kwargs:
            check(path)
        return real_open(path, mode, *args, **kwargs)

    def os_open_or_fail(path, *args, **kwargs):
        check(path)
        return real_os_open(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", open_or_fail)
    monkeypatch.setattr(os, "open", os_open_or_fail)
    return left
