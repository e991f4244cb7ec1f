"""What a killed run is known by again."""

import hashlib

from beam_pipelines.runtime.resumable import fingerprint


def test_the_fingerprint_of_one_value_stays_as_it_stands_in_data_sets():
    plan = [{"b": 1, "a": None}, ["é"]]
    text = b'[{"a": null, "b": 1}, ["\\u00e9"]]'
    assert fingerprint(plan) == hashlib.sha256(text).hexdigest()


def test_fingerprints_differ_where_the_values_do():
    values = [(1, 2), (2, 1), (12,), ([1, 2],), (b"a", b"b"), (b"ab",), (b"a", b"b", b"")]
    assert len({fingerprint(*each) for each in values}) == len(values)
