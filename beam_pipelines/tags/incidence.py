"""Which track has which tag, and how often tags go together."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import scipy.sparse

from beam_pipelines.tags.queries_base import Queries
from schemas.common.errors import UsageError
from schemas.common.files import replacing


class Implication(NamedTuple):
    """Of the tracks with `tag`, the part `share` (0 to 1) also has `implied`."""

    tag: str
    implied: str
    share: float


class Incidence:
    """Tracks by tags, and the counts of pairs.

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

    def __init__(self, lastfm: Queries, tags: Sequence[str] | None = None) -> None:
        self.tags = lastfm.get_tags() if tags is None else list(tags)
        numbers = lastfm.get_tag_nums() if tags is None else lastfm.tag_to_tag_num(self.tags)
        column = {number: i for i, number in enumerate(numbers)}
        pairs = lastfm.pairs(tag_nums=None if tags is None else numbers)
        pairs = pairs[pairs["tag"].isin(numbers)].drop_duplicates(["tid", "tag"])
        tracks, rows = np.unique(pairs["tid"], return_inverse=True)
        self.incidence = scipy.sparse.csr_array(
            (np.ones(len(pairs), np.int32), (rows, pairs["tag"].map(column))),
            shape=(len(tracks), len(self.tags)),
            dtype=np.int32,
        )
        self._column = {tag: i for i, tag in enumerate(self.tags)}

    def counts(self, dim: int = 2) -> np.ndarray:
        """Number of tracks that have all of so many tags.

        Parameters
        ----------
        dim : int
            How many tags, 1 or more. The array has tags ** dim numbers of 4 bytes.

        Returns
        -------
        np.ndarray, int32 [tags] * dim
            Symmetric; with equal indices the count of fewer tags.

        Raises
        ------
        ValueError
            If dim is under 1.
        """
        if dim < 1:
            raise ValueError(f"dim is {dim}: counts are for 1 tag or more")
        counts: np.ndarray = _counts(self.incidence, dim)
        return counts

    def save(self, path: str) -> None:
        """Keep the matrix in a file, to be loaded without the database.

        Parameters
        ----------
        path : str
            Of an ``.npz`` file on this machine; replaced if it is there.
        """
        csr = self.incidence
        tags = np.array(self.tags, np.str_)
        parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr}
        with replacing(path) as stream:
            np.savez_compressed(stream, tags=tags, n_tracks=csr.shape[0], **parts)

    @classmethod
    def load(cls, path: str) -> Self:
        """The matrix that :meth:`save` kept.

        Raises
        ------
        UsageError
            If the file is not there, or is none.
        """
        try:
            with open(path, "rb") as stream, np.load(stream) as kept:
                arrays = {name: kept[name] for name in kept.files}
            new = cls.__new__(cls)
            new.tags = arrays["tags"].tolist()
            new.incidence = scipy.sparse.csr_array(
                (arrays["data"], arrays["indices"], arrays["indptr"]),
                shape=(int(arrays["n_tracks"]), len(new.tags)),
            )
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is no matrix that was saved ({error})") from error
        new._column = {tag: i for i, tag in enumerate(new.tags)}
        return new

    def correlation_matrix_2d(self) -> np.ndarray:
        """Which part of the tracks of one tag has another.

        Returns
        -------
        np.ndarray, float64 [tags, tags]
            At i, j: of the tracks with tag i, the part that has tag j; a row of zeros
            for a tag without tracks.
        """
        counts = self.counts(2)
        return counts / np.maximum(np.diag(counts), 1)[:, None]

    def all_tag_is(self, threshold: float = 0.7) -> list[Implication]:
        """Pairs of tags where the tracks of one have the other, in a part above the threshold.

        Returns
        -------
        list of Implication
            By the tags' order.
        """
        share = self.correlation_matrix_2d()
        np.fill_diagonal(share, 0)
        return [
            Implication(self.tags[i], self.tags[j], float(share[i, j]))
            for i, j in np.argwhere(share > threshold)
        ]


def _counts(incidence: scipy.sparse.csr_array, dim: int) -> np.ndarray:
    if dim == 1:
        alone: np.ndarray = np.asarray(incidence.sum(axis=0), np.int32)
        return alone
    if dim == 2:
        return _together(incidence)
    having, n = incidence.tocsc(), incidence.shape[1]
    counts = np.empty((n,) * dim, np.int32)
    for i in range(n):
        rows = having.indices[having.indptr[i] : having.indptr[i + 1]]
        counts[i] = _counts(incidence[rows], dim - 1)
    return counts


def _together(incidence: scipy.sparse.csr_array) -> np.ndarray:
    result: np.ndarray = (incidence.T @ incidence).toarray()
    return result
