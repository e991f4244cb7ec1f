"""The configuration of an experiment: one JSON file, checked key by key.

It has the sections ``model``, ``model-training``, ``tags`` and ``tfrecords``. Every
key has a default; ``tfrecords`` is what the data set says of itself and is filled
from its manifest, so that the copy in a job directory stands alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from schemas import config_keys as keys
from schemas.audio_spec import AUDIO_FORMATS, LOG_MEL, WAVEFORM, AudioSpec
from schemas.common.errors import UsageError
from schemas.common.text import parse_json
from schemas.manifest import Dataset

SCHEDULES = ("constant", "cosine", "one-cycle", "plateau", "triangular")
OPEN_SCHEDULES = ("constant", "plateau", "triangular")  # do not depend on the number of epochs
LOSSES = ("bce", "focal", "asymmetric")
NO_WEIGHTS, INVERSE = "none", "inverse"  # of tags
# Keras' classes by the names that are given here, in any case.
OPTIMIZERS = {
    name.lower(): name
    for name in (
        *("Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lamb", "Lion"),
        *("Muon", "Nadam", "RMSprop", "ScheduleFreeAdamW", "SGD"),
    )
}
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
RANDOM, CENTRED = WINDOWS = ("random", "centred")
FROZEN = ("front_end", "embedding")
INITIALIZERS = ("he_normal", "glorot_uniform", "lecun_normal")


@dataclasses.dataclass(frozen=True)
class Model:
    """The section ``model``: the options that are null are the architecture's own."""

    name: str = keys.text("pons", "the model, one of the registry in trainer.models.registry")
    frontend: str | None = keys.choice(
        None, AUDIO_FORMATS, "what the model looks at (null: what the data set holds)", True
    )
    n_filters: int | None = keys.whole(
        None, 1, "filters of the smallest front-end branch of pons (log-mel)", True
    )
    n_dense: int | None = keys.whole(None, 1, "units of the dense layer before the tags", True)
    dropout: float | None = keys.real(None, 0, 0.95, "share of units dropped around it", True)
    initializer: str | None = keys.choice(None, INITIALIZERS, "how the weights start", True)
    norm_per_channel: bool | None = keys.flag(
        None, "pons: own statistics for each back-end feature", True
    )

    @property
    def options(self) -> dict[str, Any]:
        """What is said of the architecture; what is null it decides for itself."""
        values = dataclasses.asdict(self)
        return {
            key: value
            for key, value in values.items()
            if value is not None and key not in ("name", "frontend")
        }


@dataclasses.dataclass(frozen=True)
class Training:
    """The section ``model-training``."""

    epochs: int = keys.whole(20, 1, "passes over the training tracks, one window each")
    batch_size: int = keys.whole(16, 1, "windows a step, over all replicas")
    window_seconds: float = keys.real(15.0, 0.1, 600, "length of a window in seconds")
    optimizer: str | dict[str, Any] = keys.key(
        "adam",
        "an optimizer of Keras, or an object of its name and arguments as "
        '{"name": "sgd", "momentum": 0.9, "use_ema": true}; averages of the weights are what is '
        "validated and kept",
        f"one of {', '.join(OPTIMIZERS)}, or an object with such a name",
        lambda v: keys.is_name(v) or (isinstance(v, dict) and keys.is_name(v.get("name"))),
    )
    loss: str = keys.choice(
        "bce", LOSSES, "binary cross-entropy; where rare tags are lost, focal or asymmetric"
    )
    tag_weights: str = keys.key(
        NO_WEIGHTS,
        "how much each tag counts in the loss: all alike, by one over its frequency, or as listed",
        f"{NO_WEIGHTS}, {INVERSE} or the path of a CSV file of tag,weight",
        keys.is_name,
    )
    learning_rate: float = keys.real(1e-3, 1e-7, 10, "the highest rate of the schedule")
    schedule: str = keys.choice("one-cycle", SCHEDULES, "how the rate moves over the steps")
    cycle_epochs: float = keys.real(4.0, 0.01, 10000, "triangular: epochs of one rise and fall")
    cycle_floor: float = keys.real(
        0.25, 0, 1, "triangular: the lowest rate as a share of learning_rate"
    )
    plateau_patience: int = keys.whole(
        3, 1, "plateau: epochs without a better validation before the rate falls"
    )
    plateau_factor: float = keys.real(0.2, 0, 1, "plateau: what the rate is then multiplied by")
    early_stopping: int | None = keys.whole(
        None, 1, "epochs without a better validation after which the training ends", True
    )
    norm_momentum: float = keys.real(
        0.9, 0, 0.9999, "of batch normalisation's moving statistics; 0.99 for long trainings"
    )
    seed: int = keys.whole(
        0, 0, "of the weights, the order, the windows and the dropout", high=2**32 - 1
    )
    window: str = keys.choice(
        RANDOM, WINDOWS, "which part of a training track is seen: another in each epoch, or one"
    )
    with_tids: list[str] | str | None = keys.tids("only these training and validation tracks")
    without_tids: list[str] | str | None = keys.tids("none of these, of what with_tids leaves")
    interleave: int = keys.whole(16, 1, "shards that are read side by side, so that they mix")
    shuffle_buffer: int = keys.whole(
        1000, 1, "windows that wait to be drawn: 0.48 MB each at 15 s and 16 kHz, so 0.5 GB"
    )
    cache_gib: float = keys.real(
        2.0, 0, 4096, "spectrograms made from a waveform data set stay in memory up to this size"
    )
    precision: str = keys.choice(
        "float32", PRECISIONS, "of the computation; the mixed ones are for GPUs, slower on CPUs"
    )
    jit_compile: bool = keys.flag(False, "compile the steps with XLA: for GPUs, slower on CPUs")
    steps_per_execution: int = keys.whole(
        1,
        1,
        "steps in one call, for fast GPUs: an epoch is cut to a multiple, input_wait is not known",
    )
    save_minutes: float = keys.real(
        10.0, 0, 10000, "minutes between saved states within an epoch, for --resume"
    )
    log_steps: int = keys.whole(10, 1, "steps between two losses and rates in TensorBoard")
    init_from: str | None = keys.key(
        None,
        "start from the weights of this job, its output layer's too where the tags are the same; "
        "--init_from sets it",
        "a directory of trainer.import_pretrained or trainer.task",
        keys.is_name,
        True,
    )
    freeze: str | None = keys.choice(
        None,
        FROZEN,
        "with init_from: what stays as it was, the front end or all but the output",
        True,
    )
    wanted_precision: float | None = keys.real(
        None,
        0,
        1,
        "tags are decided with the best F1 on the validation tracks (null), or so precisely",
        True,
    )
    shuffle_labels: bool = keys.flag(
        False, "control: the tags of each training track are dealt to another one"
    )


@dataclasses.dataclass(frozen=True)
class Tags:
    """The section ``tags``: what the model learns of the data set's vocabulary."""

    top: int | None = keys.whole(None, 1, "only the N most frequent tags", True)
    with_: list[str] = keys.names("also these; alone, only these")
    without: list[str] = keys.names("none of these")
    merge: list[list[str]] = keys.key(
        [],
        "groups of tags that are learnt as one, which is called by the first",
        "a list of lists of two tags or more",
        lambda v: isinstance(v, list) and all(keys.are_names(g) and len(g) > 1 for g in v),
    )


@dataclasses.dataclass(frozen=True)
class TFRecords:
    """The section ``tfrecords``: what the data set says of itself."""

    audio_format: str | None = keys.choice(None, AUDIO_FORMATS, "what the records hold", True)
    sample_rate: int | None = keys.whole(None, 1, "Hz", True)
    n_mels: int | None = keys.whole(None, 1, "mel bands", True)
    n_fft: int | None = keys.whole(None, 1, "samples", True)
    hop_length: int | None = keys.whole(None, 1, "samples", True)
    compression: str | None = keys.choice(None, ("db", "log10"), "of the spectrogram", True)
    top_db: float | None = keys.real(None, 0, 1000, "floor under the clip's maximum in dB", True)
    amin: float | None = keys.real(None, 0, 1, "smallest power", True)
    vocabulary: list[str] = keys.names("the tags of the multi-hot vector, in order")

    @property
    def spec(self) -> AudioSpec:
        """The signal front end of the data set."""
        names = [field.name for field in dataclasses.fields(AudioSpec)]
        return AudioSpec(**{name: getattr(self, name) for name in names})


SECTIONS = {"model": Model, "model-training": Training, "tags": Tags, "tfrecords": TFRecords}


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration; made by :func:`read_config` or :func:`parse_config`."""

    model: Model = Model()
    training: Training = Training()
    tags: Tags = Tags()
    tfrecords: TFRecords = TFRecords()

    @property
    def frontend(self) -> str:
        """The front end, once :func:`fill` has filled it in."""
        return _filled(self.model.frontend, "model.frontend")

    @property
    def n_mels(self) -> int:
        """Mel bands, once :func:`fill` has filled them in."""
        return _filled(self.tfrecords.n_mels, "tfrecords.n_mels")

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The four sections as dictionaries of JSON values."""
        parts: tuple[Any, ...] = (self.model, self.training, self.tags, self.tfrecords)
        return {
            section: {key.rstrip("_"): value for key, value in dataclasses.asdict(part).items()}
            for section, part in zip(SECTIONS, parts, strict=True)
        }


Value = TypeVar("Value")


def _filled(value: Value | None, name: str) -> Value:
    if value is None:
        raise ValueError(f"{name} is not filled in: the configuration knows no data set yet")
    return value


def parse_config(values: dict[str, Any], source: str = "configuration") -> Config:
    """Check a dictionary of sections and fill in the defaults.

    Raises
    ------
    UsageError
        Naming the key, its value and what is allowed.
    """
    if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
        raise UsageError(f"{source}: allowed is an object of the sections {', '.join(SECTIONS)}")
    for section in values:
        if section not in SECTIONS:
            raise UsageError(
                f"{source}: unknown section {section!r}, allowed are {', '.join(SECTIONS)}"
            )
    return Config(*(_section(name, values.get(name, {}), source) for name in SECTIONS))


def _section(section: str, values: dict[str, Any], source: str) -> Any:
    fields = _fields(section)
    for key, value in values.items():
        if key not in fields:
            raise UsageError(
                f"{source}: unknown key {section}.{key}, allowed are {', '.join(fields)}"
            )
        metadata = fields[key].metadata
        if not metadata["check"](value):
            raise UsageError(
                f"{source}: {section}.{key} is {json.dumps(value)}: "
                f"allowed is {metadata['allowed']}"
            )
    return SECTIONS[section](**{fields[key].name: value for key, value in values.items()})


def _fields(section: str) -> dict[str, dataclasses.Field[Any]]:
    """Fields of a section by the key in the file (``with`` is a word of Python)."""
    return {field.name.rstrip("_"): field for field in dataclasses.fields(SECTIONS[section])}


def read_config(
    file: str | None,
    settings: Sequence[str] = (),
    option: str = "--set",
    base: dict[str, dict[str, Any]] | None = None,
) -> Config:
    """Read a configuration file and apply settings of the command line to it.

    Parameters
    ----------
    file : str, optional
        A JSON file; the defaults where there is none.
    settings : sequence of str
        ``key=value`` with the key as ``section.key``, or alone where only one section
        has it. The value is JSON; what is no JSON is text, and text with commas is a
        list where a list is asked for.
    option : str
        What errors call the settings.
    base : dict, optional
        Sections with keys that take the place of the defaults.

    Raises
    ------
    UsageError
        If the file cannot be read, or a key or value is not allowed.
    """
    values: dict[str, Any] = {}
    if file:
        try:
            with open(file, encoding="utf8") as stream:
                values = parse_json(stream.read())
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{file} is no JSON: {error}") from error
    config = parse_config(values, file or "configuration")
    for section, given in (base or {}).items():
        values[section] = given | values.get(section, {})
    values = (parse_config(values) if base else config).to_json()
    for setting in settings:
        section, key, value = _setting(setting, option)
        values[section][key] = value
    return parse_config(values, option if settings else file or "configuration")


def _setting(setting: str, option: str) -> tuple[str, str, Any]:
    name, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"{option} {setting}: allowed is key=value")
    section, _, key = name.rpartition(".")
    homes = [home for home in SECTIONS if key in _fields(home)]
    if section:
        homes = [home for home in homes if home == section]
    if len(homes) != 1:
        known = ", ".join(f"{home}.{key}" for home in SECTIONS for key in _fields(home))
        raise UsageError(f"{option} {setting}: unknown key {name!r}, allowed are {known}")
    try:
        value = parse_json(text)
    except ValueError:
        is_list = _fields(homes[0])[key].default is dataclasses.MISSING
        value = [part.strip() for part in text.split(",")] if is_list else text
    return homes[0], key, value


def fill(config: Config, dataset: Dataset) -> Config:
    """The configuration for a data set: ``tfrecords`` and the front end filled in.

    Raises
    ------
    UsageError
        If the configuration says otherwise than the manifest, or asks for the
        waveform front end on a data set of spectrograms.
    """
    facts = {
        "audio_format": dataset.audio_format,
        **dataset.spec.to_json(),
        "vocabulary": list(dataset.vocabulary),
    }
    given = config.to_json()["tfrecords"]
    for key, value in facts.items():
        if given[key] not in (None, [], value):
            raise UsageError(
                f"tfrecords.{key} is {json.dumps(given[key])}: allowed is what the data set "
                f"{dataset.path} has, {json.dumps(value)}"
            )
    frontend = config.model.frontend or dataset.audio_format
    if frontend == WAVEFORM and dataset.audio_format == LOG_MEL:
        raise UsageError(
            f"model.frontend is {WAVEFORM}: the data set {dataset.path} holds {LOG_MEL}s, "
            f"so allowed is {LOG_MEL}"
        )
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, frontend=frontend),
        tfrecords=TFRecords(**facts),
    )


def describe() -> str:
    """One line for each key: its default, what it is and what is allowed."""
    defaults = Config().to_json()
    lines = []
    for section in SECTIONS:
        for key, field in _fields(section).items():
            default = json.dumps(defaults[section][key])
            allowed = field.metadata["allowed"]
            lines.append(f"  {section}.{key}={default}\n      {field.metadata['help']}; {allowed}")
    return "\n".join(lines)
