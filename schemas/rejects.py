"""Why an input did not become a row of the data set.

``rejects.parquet`` has one row for each listed file and each summary row that was
not written. Every reason belongs to exactly one stage; the detail says the rest
(the copy that was written, the measured seconds, the decoder's message).
"""

from __future__ import annotations

import dataclasses
import enum

FILE, SONG = "file", "song"


class Stage(enum.StrEnum):
    """Where an input was lost, in the order of the data's way."""

    LIST = "list"
    JOIN = "join"
    MISMATCHES = "mismatches"
    TAGS = "tags"
    SPLIT = "split"
    AUDIO = "audio"
    FILTERS = "filters"
    COPIES = "copies"


class Reason(enum.StrEnum):
    """What was wrong with a file or a song."""

    BAD_NAME = "bad_name"  # an audio file whose name is not <7digital id>.clip.mp3
    NO_7DIGITALID = "no_7digitalid"  # the summary row's id is 0
    AMBIGUOUS_7DIGITALID = "ambiguous_7digitalid"  # on several files or several summary rows
    AMBIGUOUS_TRACK_ID = "ambiguous_track_id"  # on several summary rows
    NOT_IN_SUMMARY = "not_in_summary"  # a file whose id no summary row has
    NO_AUDIO = "no_audio"  # a summary row whose id no file has
    MISMATCH = "mismatch"
    NO_TAG = "no_tag"
    NO_SPLIT = "no_split"  # the user's split file does not name the track
    EMPTY_FILE = "empty_file"  # 0 bytes
    UNREADABLE = "unreadable"  # the file system failed; detail: the error's name
    CHANGED = "changed"  # no more as it was listed
    UNDECODABLE = "undecodable"
    CRASHED_DECODER = "crashed_decoder"  # the decoder's process died; detail: of what
    MISLABELLED = "mislabelled"  # audio of another format than its name says
    NO_SAMPLES = "no_samples"  # decodes to nothing
    TOO_LONG = "too_long"  # more was decoded than is wanted
    SILENT = "silent"
    CUT_SHORT = "cut_short"  # more is missing of it than is allowed
    NOT_IN_DATASET = "not_in_dataset"  # the data set that gets other tags does not have it
    TOO_SMALL = "too_small"
    EFFECTIVE_LENGTH = "effective_length"
    TOTAL_SILENCE = "total_silence"
    MAX_SILENCE = "max_silence"
    DUPLICATE_OF = "duplicate_of"  # another copy of the song is written; detail: its track id

    @property
    def stage(self) -> Stage:
        """The stage that this reason belongs to."""
        return _STAGES[self]


_STAGES = {
    Reason.BAD_NAME: Stage.LIST,
    Reason.NO_7DIGITALID: Stage.JOIN,
    Reason.AMBIGUOUS_7DIGITALID: Stage.JOIN,
    Reason.AMBIGUOUS_TRACK_ID: Stage.JOIN,
    Reason.NOT_IN_SUMMARY: Stage.JOIN,
    Reason.NO_AUDIO: Stage.JOIN,
    Reason.MISMATCH: Stage.MISMATCHES,
    Reason.NO_TAG: Stage.TAGS,
    Reason.NO_SPLIT: Stage.SPLIT,
    Reason.EMPTY_FILE: Stage.AUDIO,
    Reason.UNREADABLE: Stage.AUDIO,
    Reason.CHANGED: Stage.AUDIO,
    Reason.UNDECODABLE: Stage.AUDIO,
    Reason.CRASHED_DECODER: Stage.AUDIO,
    Reason.MISLABELLED: Stage.AUDIO,
    Reason.NO_SAMPLES: Stage.AUDIO,
    Reason.TOO_LONG: Stage.AUDIO,
    Reason.SILENT: Stage.AUDIO,
    Reason.CUT_SHORT: Stage.FILTERS,
    Reason.NOT_IN_DATASET: Stage.AUDIO,
    Reason.TOO_SMALL: Stage.FILTERS,
    Reason.EFFECTIVE_LENGTH: Stage.FILTERS,
    Reason.TOTAL_SILENCE: Stage.FILTERS,
    Reason.MAX_SILENCE: Stage.FILTERS,
    Reason.DUPLICATE_OF: Stage.COPIES,
}


@dataclasses.dataclass(frozen=True)
class Reject:
    """One row of ``rejects.parquet``.

    Attributes
    ----------
    kind : {'file', 'song'}
        A listed file or a row of the summary.
    path : str or None
        Path under the audio root, with '/'.
    track_id : str or None
        Track id of the song, where it is known.
    track_7digitalid : int or None
        7digital id of the file or the song.
    reason : Reason
        What was wrong.
    detail : str
        The rest, in words or figures; may be empty.
    """

    kind: str
    path: str | None
    track_id: str | None
    track_7digitalid: int | None
    reason: Reason
    detail: str = ""

    def row(self) -> dict[str, str | int | None]:
        """The columns kind, path, track_id, track_7digitalid, stage, reason, detail."""
        return {
            "kind": self.kind,
            "path": self.path,
            "track_id": self.track_id,
            "track_7digitalid": self.track_7digitalid,
            "stage": self.reason.stage.value,
            "reason": self.reason.value,
            "detail": self.detail,
        }
