"""Which of a data set's tags a model learns."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.common.errors import UsageError
from schemas.config import Tags


def select_tags(tags: Tags, vocabulary: Sequence[str]) -> tuple[list[str], list[int]]:
    """The tags that are learnt and how they come from a data set's vocabulary.

    Parameters
    ----------
    tags : Tags
        ``top`` counts in the order of `vocabulary`, the most frequent first, before
        tags are merged. A group of ``merge`` is learnt when one of its tags is chosen.
    vocabulary : sequence of str
        The data set's tags in the order of its multi-hot vector.

    Returns
    -------
    names : list of str
        What the model's outputs are called, in the order of the vocabulary.
    columns : list of int
        For each tag of the vocabulary the output it counts for, -1 for none.

    Raises
    ------
    UsageError
        If a tag is unknown, in two groups or merged and left out, or none is left.
    """
    groups = {tag: group[0] for group in tags.merge for tag in group}
    for key, named in (
        ("with", tags.with_),
        ("without", tags.without),
        ("merge", [tag for group in tags.merge for tag in group]),
    ):
        for tag in named:
            if tag not in vocabulary:
                raise UsageError(f"tags.{key} names {tag!r}: allowed are the data set's tags")
    if len(groups) < sum(map(len, tags.merge)):
        raise UsageError("tags.merge names a tag twice: allowed is one group for a tag")
    for tag in tags.without:
        if tag in groups:
            raise UsageError(f"tags.without names {tag!r}: allowed are tags that are not merged")
    if tags.top is None and not tags.with_:
        chosen = set(vocabulary)
    else:
        chosen = {*vocabulary[: tags.top or 0], *tags.with_}
    learnt = {groups.get(tag, tag) for tag in chosen - set(tags.without)}
    names = list(dict.fromkeys(groups.get(tag, tag) for tag in vocabulary))
    names = [name for name in names if name in learnt]
    if not names:
        raise UsageError("tags leave none to learn: allowed is a choice that keeps one")
    number = {name: k for k, name in enumerate(names)}
    return names, [number.get(groups.get(tag, tag), -1) for tag in vocabulary]
