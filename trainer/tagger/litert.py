"""The LiteRT form of an exported tagger: one file for machines without TensorFlow."""

from __future__ import annotations

import io
import os
import zipfile

from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError
from schemas.common.files import replacing
from schemas.saved_model import (
    DESCRIPTION,
    EMBEDDINGS,
    METADATA,
    SERVE,
    TAGGRAM,
    WINDOWS,
    lite_path,
    read_lite_info,
)

SIGNATURES = (SERVE, TAGGRAM, EMBEDDINGS, WINDOWS)


def export_lite(directory: str) -> str:
    """Write ``DIRECTORY.tflite`` beside an exported SavedModel.

    It has the SavedModel's signatures of audio and of windows with the same inputs and
    outputs, made of LiteRT's own operations alone, and what the model is in a ZIP archive
    at its end (``unzip -p FILE orpheus.json``).

    Parameters
    ----------
    directory : str
        As :func:`trainer.tagger.saved_model.export_saved_model` wrote it.

    Returns
    -------
    str
        Path of the file; one of an earlier export is replaced.

    Raises
    ------
    UsageError
        If something else is there.
    """
    path = lite_path(directory)
    check_lite_place(path)
    content = io.BytesIO(_convert(directory))
    with open(os.path.join(directory, METADATA), "rb") as stream:
        description = stream.read()
    with zipfile.ZipFile(content, "a") as archive:
        # Without the time, which the default would be.
        archive.writestr(zipfile.ZipInfo(DESCRIPTION), description)
    with replacing(path) as output:
        output.write(content.getbuffer())
    return path


def check_lite_place(path: str) -> None:
    """See that a LiteRT model can be written: nothing is there, or an earlier one.

    Raises
    ------
    UsageError
    """
    if os.path.lexists(path):
        try:
            read_lite_info(path)
        except UsageError as error:
            raise UsageError(f"{path} exists and is no exported model: remove it") from error


def _convert(directory: str) -> bytes:
    """The flat buffer of a SavedModel; the converter's log stays off the terminal."""
    lite = import_tensorflow().lite
    return lite.TFLiteConverter.from_saved_model(directory, signature_keys=SIGNATURES).convert()
