"""A short, seeded form of the fuzz program."""

import random

from tests.fuzz.audio import fuzz, make_seeds, mutate


def test_damaged_files_end_as_documented(tmp_path):
    found = fuzz(1200, seed=7, keep=str(tmp_path / "wrong"), workers=2)
    assert found.total() == 1200
    assert set(found) <= {"decoded", "undecodable", "no_samples"}, found
    assert found["decoded"] > 300 and found["undecodable"] > 300
    assert list((tmp_path / "wrong").iterdir()) == []


def test_the_same_seed_damages_alike():
    (name, data), *_ = sorted(make_seeds().items())
    damaged = [mutate(data, random.Random(3)) for _ in range(2)]
    assert damaged[0] == damaged[1] != data, name
