"""What a file that gives no samples raises."""

from __future__ import annotations

from schemas.rejects import Reason


class AudioError(Exception):
    """A file that gives no samples.

    Attributes
    ----------
    reason : Reason
        EMPTY_FILE, UNDECODABLE, MISLABELLED, NO_SAMPLES or TOO_LONG.
    detail : str
        What the decoder says; the same for the same bytes.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[AudioError], tuple[Reason, str]]:
        return AudioError, (self.reason, self.detail)


class LeftToAnotherError(AudioError):
    """A file that this decoder could read, and another one reads better."""
