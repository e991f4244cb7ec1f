"""Connected components: what belongs together, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Name = TypeVar("Name", int, str)


def union_find(links: Iterable[Sequence[Name]]) -> dict[Name, Name]:
    """Connected components.

    Parameters
    ----------
    links : iterable of sequences
        The names in one sequence belong together.

    Returns
    -------
    dict
        Each name that occurs to the lowest name of its component.
    """
    parent: dict[Name, Name] = {}

    def root(name: Name) -> Name:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for link in links:
        for other in link[1:]:
            low, high = sorted((root(link[0]), root(other)))
            parent[high] = low
        if len(link) == 1:
            root(link[0])
    return {name: root(name) for name in parent}
