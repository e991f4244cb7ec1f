"""The SavedModel as TensorFlow Serving's own clients call it: protobufs over gRPC.

The client, the messages and the service are those of ``tensorflow-serving-api``; in the
server's place a few lines hand the tensors to the signature that a request names.
"""

from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from schemas.audio_spec import LOG_MEL, WAVEFORM
from tests.helpers.taggers import LABELS, SPEC, make_tagger, noise
from trainer.tagger.saved_model import export_saved_model


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """PredictionService.Predict on SavedModels by name, as tensorflow_model_server answers it."""

    def __init__(self, directories):
        self.models = {name: tf.saved_model.load(path) for name, path in directories.items()}

    def Predict(self, request, context):  # noqa: N802  the service's own name
        spec = request.model_spec
        signature = self.models[spec.name].signatures[spec.signature_name or "serving_default"]
        inputs = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
        try:
            outputs = signature(**{key: tf.constant(value) for key, value in inputs.items()})
        except (TypeError, tf.errors.InvalidArgumentError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(spec)
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A client's stub, and the taggers behind the models that it can name."""
    folder = tmp_path_factory.mktemp("served")
    taggers = {frontend: make_tagger(frontend)[0] for frontend in (LOG_MEL, WAVEFORM)}
    paths = {}
    for frontend, tagger in taggers.items():
        paths[frontend] = str(folder / frontend / "1")
        export_saved_model(tagger, paths[frontend])
    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(paths), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel), taggers
    server.stop(None)


def predict(stub, model, signature, **inputs):
    """What a client of TensorFlow Serving does: a request of tensor protobufs, and back."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value, dtype=tf.float32))
    answer = stub.Predict(request, timeout=60)
    return {key: tf.make_ndarray(proto) for key, proto in answer.outputs.items()}


@pytest.mark.parametrize("frontend", [LOG_MEL, WAVEFORM])
@pytest.mark.parametrize("n_samples", [45_000, 3_000])
def test_a_batch_of_clips_is_answered(served, frontend, n_samples):
    stub, taggers = served
    audio = noise(n_samples, batch=2)
    for signature, method in (("", "serve"), ("taggram", "taggram"), ("embeddings", "embeddings")):
        answer = predict(stub, frontend, signature, audio=audio)
        expected = getattr(taggers[frontend], method)(audio)
        assert answer.keys() == expected.keys()
        assert [tag.decode() for tag in answer["tags"]] == LABELS
        for key in set(answer) - {"tags"}:
            assert answer[key].dtype == np.float32
            np.testing.assert_allclose(answer[key], expected[key], rtol=1e-4, atol=1e-4)


def test_windows_of_a_client_that_cuts_them_itself(served):
    stub, taggers = served
    windows = np.random.default_rng(0).normal(-40, 10, (3, 40, SPEC.n_mels)).astype(np.float32)
    answer = predict(stub, LOG_MEL, "windows", windows=windows)
    expected = taggers[LOG_MEL].windows(windows)["scores"]
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-5)


def test_a_wrong_request_is_an_error_of_the_clients(served):
    stub, _ = served
    for inputs in ({"sound": noise(100)}, {"audio": noise(100)[0]}):
        with pytest.raises(grpc.RpcError) as raised:
            predict(stub, LOG_MEL, "", **inputs)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
