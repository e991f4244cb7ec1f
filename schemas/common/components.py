"""Connected components: what belongs together, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def union_find(links: Iterable[Sequence[str]]) -> dict[str, str]:
    """Connected components.

    Parameters
    ----------
    links : iterable of sequences of str
        The names in one sequence belong together.

    Returns
    -------
    dict
        Each name that occurs to the lowest name of its component.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
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
