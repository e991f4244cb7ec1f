"""The state of a running training in one file, so that it can go on after any end.

Order and windows of the input are functions of seed, epoch and step, so the state is
the variables of model and optimizer, and how far they have come.
"""

from __future__ import annotations

import json
import zipfile
from typing import Any

import keras
import numpy as np

from schemas.common.errors import RunError
from schemas.common.files import replacing
from schemas.common.text import parse_json

_PROGRESS = "progress"


def save_state(path: str, model: keras.Model, progress: dict[str, Any]) -> None:
    """Write all variables of a compiled model and of its optimizer, whole or not at all.

    Parameters
    ----------
    path : str
        An ``.npz`` file; one that is there is replaced.
    model : keras.Model
        Dropout's random state is among its variables, step and rate among its
        optimizer's.
    progress : dict
        JSON values that say how far the training is.
    """
    arrays = {
        f"{number:05d}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(_variables(model))
    }
    contents: dict[str, Any] = {_PROGRESS: json.dumps(progress), **arrays}
    with replacing(path) as stream:
        np.savez(stream, **contents)


def load_state(path: str, model: keras.Model) -> dict[str, Any]:
    """Put saved variables into a model and an optimizer of the same kind.

    Returns
    -------
    dict
        The progress that was saved with them.

    Raises
    ------
    RunError
        If the file cannot be read or belongs to another model.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as state:
            arrays = [state[name] for name in sorted(state.files) if name != _PROGRESS]
            progress = parse_json(str(state[_PROGRESS]))
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} cannot be read ({error}): start again with --overwrite") from error
    variables = _variables(model)
    if [array.shape for array in arrays] != [tuple(each.shape) for each in variables]:
        raise RunError(f"{path} is the state of another model: start again with --overwrite")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return progress


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]
