"""The LiteRT form of an exported tagger: one file for machines without TensorFlow."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError
from schemas.common.files import replacing
from schemas.saved_model import (
    CLIPS,
    DESCRIPTION,
    EMBEDDINGS,
    METADATA,
    SERVE,
    TAGGRAM,
    WINDOWS,
    lite_path,
    read_lite_info,
)

SIGNATURES = (SERVE, CLIPS, TAGGRAM, EMBEDDINGS, WINDOWS)


def export_lite(directory: str) -> str:
    """Write ``DIRECTORY.tflite`` beside an exported SavedModel.

    It has the SavedModel's signatures of audio and of windows with the same inputs and
    outputs, made of LiteRT's own operations alone, the scores' as its first subgraph for
    callers that know no signatures; and what the model is in a ZIP archive at its end
    (``unzip -p FILE orpheus.json``).

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
    content = io.BytesIO(_scores_first(_convert(directory)))
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


def _scores_first(content: bytes) -> bytes:
    """The same flat buffer with the subgraph of ``serving_default`` and its scores first.

    The converter puts both into the order of their names.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    serve = next(each for each in model.signatureDefs if each.signatureKey == SERVE.encode())
    first = model.subgraphs[serve.subgraphIndex]
    (scores,) = (each.tensorIndex for each in serve.outputs if each.name == b"scores")
    first.outputs = sorted(first.outputs, key=lambda tensor: tensor != scores)
    others = [k for k in range(len(model.subgraphs)) if k != serve.subgraphIndex]
    order = [serve.subgraphIndex, *others]
    model.subgraphs = [model.subgraphs[k] for k in order]
    for signature in model.signatureDefs:
        signature.subgraphIndex = order.index(signature.subgraphIndex)

    class Builder(flatbuffer_utils.flatbuffers.Builder):
        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            """Weights must begin at multiples of 16 bytes, where the converter has them too."""
            return super().StartVector(size, count, max(alignment, 16))

    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
