"""The tag vocabulary, the multi-hot encoding and the tag counts, by tf.Transform.

Only the process that starts a build imports this module (TensorFlow comes with
it); the workers get tag numbers.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_pipelines.dataset import sharding
from schemas.common.command import import_tensorflow

MAX_TAGS = 2000
_ROWS_A_BATCH = 5000
_TAGS, _COUNTS = "tags", "tag_counts"
_FUNCTION = re.compile(r"(__inference_\w+?_)(\d+)\b")
_SCHEMA = pa.schema([(_TAGS, pa.large_list(pa.large_binary()))])


def analyse(
    pieces: Sequence[str], folder: str, top_tags: int | None = None
) -> list[tuple[str, int]]:
    """Find the vocabulary of the planned songs and save the transform graph.

    Parameters
    ----------
    pieces : sequence of str
        Files of planned songs.
    folder : str
        Local folder that gets tf.Transform's output (graph, vocabulary, metadata).
    top_tags : int, optional
        Keep the most frequent ones only; all by default.

    Returns
    -------
    list of (tag, songs)
        In the order of the multi-hot vector: most frequent first.
    """
    tf = import_tensorflow()
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        tags = inputs[_TAGS]
        tft.vocabulary(tags, top_k=top_tags, vocab_filename=_COUNTS, store_frequency=True)
        numbers = tft.compute_and_apply_vocabulary(tags, top_k=top_tags, vocab_filename=_TAGS)
        depth = tf.cast(tft.experimental.get_vocabulary_size_by_name(_TAGS), tf.int32)
        one_hot = tf.one_hot(tf.sparse.to_dense(numbers, default_value=-1), depth, dtype=tf.int64)
        return {_TAGS: tf.reduce_max(one_hot, axis=1)}

    config = TensorAdapterConfig(_SCHEMA, _representation())
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(flags=[]))
    with tempfile.TemporaryDirectory() as temporary, tft_beam.Context(temp_dir=temporary):
        # Names go through Create's shuffle, not tags: a batch of them is large.
        batches = (
            pipeline
            | "Pieces of songs" >> beam.Create(pieces)
            | "Read the tags" >> beam.FlatMap(_read_batches).with_output_types(pa.RecordBatch)
        )
        dataset = (batches, config)
        transform = dataset | "Analyse the tags" >> tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform | "Save the transform" >> tft_beam.WriteTransformFn(folder)
        pipeline.run().wait_until_finish()
    _leave_out_accidents(os.path.join(folder, tft.TFTransformOutput.TRANSFORM_FN_DIR))
    output = tft.TFTransformOutput(folder)
    counts = {}
    for line in output.vocabulary_by_name(_COUNTS):
        count, tag = line.split(b" ", 1)
        counts[tag.decode()] = int(count)
    return [(tag.decode(), counts[tag.decode()]) for tag in output.vocabulary_by_name(_TAGS)]


def _leave_out_accidents(folder: str) -> None:
    """Make a saved graph the same for the same tags.

    TensorFlow numbers its functions by what the process has done before, names a table by the
    temporary path of its file, and draws a random number for the fingerprint.
    """
    from google.protobuf import text_format
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    with open(os.path.join(folder, "saved_model.pb"), "rb") as stream:
        text = text_format.MessageToString(SavedModel.FromString(stream.read()))
    numbers = sorted({int(number) for _, number in _FUNCTION.findall(text)})
    text = _FUNCTION.sub(lambda found: f"{found[1]}{numbers.index(int(found[2]))}", text)
    text = re.sub(r'(_user_specified_name"\s+value \{\s+s: ")\d+"', r'\1"', text)
    text = re.sub(r"(tf\.Tensor\(b\\')[^']*/", r"\1", text)
    graph = text_format.Parse(text, SavedModel())
    for part in graph.meta_graphs:
        part.graph_def.library.function.sort(key=lambda function: function.signature.name)
    with open(os.path.join(folder, "saved_model.pb"), "wb") as stream:
        stream.write(graph.SerializeToString(deterministic=True))
    os.remove(os.path.join(folder, "fingerprint.pb"))


def _read_batches(piece: str) -> Iterator[pa.RecordBatch]:
    """The tags of a piece's songs in batches, the form that tf.Transform takes."""
    rows = sharding.tag_lists(piece)
    while batch := list(itertools.islice(rows, _ROWS_A_BATCH)):
        column = pa.array([[tag.encode() for tag in tags] for tags in batch], _SCHEMA[0].type)
        yield pa.RecordBatch.from_arrays([column], schema=_SCHEMA)


def _representation() -> dict[str, Any]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    representation = schema_pb2.TensorRepresentation()
    representation.varlen_sparse_tensor.column_name = _TAGS
    return {_TAGS: representation}
