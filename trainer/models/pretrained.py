"""Networks with weights that others have trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.audio_spec import LOG_MEL
from schemas.common.command import import_tensorflow
from schemas.common.errors import UsageError
from trainer.models.musicnn_package import NETWORKS, SPEC, WINDOW, Package, layer_weights

if TYPE_CHECKING:  # --help does not wait for TensorFlow
    import keras


def build_network(network: str, package: Package, n_tags: int) -> keras.Model:
    """The project's model with a published network's weights.

    Returns
    -------
    keras.Model
        ``[batch, 187, 96]`` float32 to scores ``[batch, n_tags]``.

    Raises
    ------
    UsageError
        If a weight is missing or has another shape.
    """
    import_tensorflow()
    from trainer.models.registry import build_model

    model = build_model(
        NETWORKS[network], frontend=LOG_MEL, window=WINDOW, n_mels=SPEC.n_mels, n_tags=n_tags
    )
    left = {layer.name for layer in model.layers if layer.weights}
    for name, weights in layer_weights(network, package.variables(network)):
        try:
            model.get_layer(name).set_weights(weights)
        except ValueError as error:
            raise UsageError(f"{network} is not as published: {name}: {error}") from error
        left.remove(name)
    assert not left, left
    return model
