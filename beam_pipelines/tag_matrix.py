"""How tags go together: co-occurrence, correlation and implication.

Everything comes from one sparse incidence matrix (tracks by tags, ones): a
product with itself counts the tracks of all pairs of tags at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from beam_pipelines.tags.incidence import Implication, Incidence

__all__ = ["Implication", "Matrix"]


class Matrix(Incidence):
    """Co-occurrence of tags.

    Parameters
    ----------
    lastfm : Queries
        The database: a LastFm or a LastFm2Pandas.
    tags : sequence of str, optional
        The tags to look at, in this order; all tags by default.

    Raises
    ------
    KeyError
        If the database has not one of the tags.
    """

    def tags_and(self, tags: str | Iterable[str]) -> int:
        """Number of tracks that have all the tags."""
        wanted = self._indices(tags)
        return int(np.sum(self.incidence[:, wanted].sum(axis=1) == len(wanted)))

    def tags_or(self, tags: str | Iterable[str]) -> int:
        """Number of tracks that have one of the tags at least."""
        return int(np.count_nonzero(self.incidence[:, self._indices(tags)].sum(axis=1)))

    def with_one_without_many(self, tag: str, without: Iterable[str]) -> int:
        """Number of tracks that have a tag and none of the others."""
        without = _as_list(without)
        return self.tags_or([tag, *without]) - self.tags_or(without)

    def with_many_without_one(self, tags: str | Iterable[str], without: str) -> int:
        """Number of tracks that have all the tags, but not the other."""
        tags = _as_list(tags)
        return self.tags_and(tags) - self.tags_and([*tags, without])

    def correlation_matrix_3d(self) -> np.ndarray:
        """Which part of the tracks of one tag has one of two others.

        Returns
        -------
        np.ndarray, float64 [tags, tags, tags]
            At i, j, k: of the tracks with tag i, the part that has tag j or tag k.
        """
        both, all_three = self.counts(2), self.counts(3)
        either = both[:, :, None] + both[:, None, :] - all_three
        result: np.ndarray = either / np.maximum(np.diag(both), 1)[:, None, None]
        return result

    def are_equivalent(self, threshold: float = 0.8) -> list[tuple[Implication, Implication]]:
        """Pairs of tags of which each implies the other, above a threshold (strict)."""
        found = {(i.tag, i.implied): i for i in self.all_tag_is(threshold)}
        return [
            (forth, found[back])
            for (tag, implied), forth in found.items()
            if (back := (implied, tag)) in found and self._column[tag] < self._column[implied]
        ]

    def all_tag_is_either(self, threshold: float = 0.7) -> list[tuple[str, str, str, float]]:
        """Tags whose tracks have one of two others, in a part above the threshold (strict).

        Returns
        -------
        list of (str, str, str, float)
            The tag, the two others in the tags' order, and the part.
        """
        share = self.correlation_matrix_3d()
        return [
            (self.tags[i], self.tags[j], self.tags[k], float(share[i, j, k]))
            for i, j, k in np.argwhere(share > threshold)
            if j < k and i not in (j, k)
        ]

    def correlation_plot(self, path: str, tag: str | None = None) -> None:
        """Draw the correlation matrix.

        Parameters
        ----------
        path : str
            Image to write; its ending gives the format.
        tag : str, optional
            Draw, for this tag, the part of its tracks that has one of two others; by
            default draw the two-dimensional matrix.
        """
        from matplotlib.figure import Figure  # half a second: only those who draw pay it

        if tag is None:
            names, title = self.tags, "part of the row's tracks that has the column's tag"
            share = self.correlation_matrix_2d()
            np.fill_diagonal(share, 0)  # a tag's ones with itself would drown the others
        else:
            i = self._column[tag]
            names = [name for name in self.tags if name != tag]
            share = self.correlation_matrix_3d()[i]
            share = np.delete(np.delete(share, i, 0), i, 1)
            title = f"part of {tag} that has the row's or the column's tag"
        side = 3 + 0.18 * len(names)
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation="vertical")
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title)
        figure.colorbar(image, shrink=0.7)
        figure.savefig(path)

    def _indices(self, tags: str | Iterable[str]) -> list[int]:
        wanted = dict.fromkeys(_as_list(tags))
        for tag in wanted:
            if tag not in self._column:
                raise KeyError(f"the matrix has no tag {tag!r}")
        return [self._column[tag] for tag in wanted]


def _as_list(tags: str | Iterable[str]) -> list[str]:
    return [tags] if isinstance(tags, str) else list(tags)
