"""``python -m trainer.find_rate``: which learning rate a training can take, by trying them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from schemas.common.arguments import positive, positive_int
from schemas.common.command import ArgumentParser, import_tensorflow, run_command
from schemas.common.errors import UsageError
from schemas.config import Config
from schemas.manifest import Dataset, being_read
from trainer.evaluation.figures import check_place, plot_rates, save_figure
from trainer.training.options import add_config_options, read_options

_LEAST = 10  # steps that make a curve
_TRACKS_FOR_RATES = 5000


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        prog="trainer.find_rate",
        description="Train some steps while the learning rate rises, draw the loss over the rate "
        "and suggest one: a tenth of where the loss was lowest. Writes no job; one device.",
    )
    add_config_options(options)
    options.add_argument("--steps", type=positive_int, default=200, help="how many rates to try")
    options.add_argument("--lowest", type=positive, default=1e-6, help="the first rate")
    options.add_argument("--highest", type=positive, default=1.0, help="the last rate")
    options.add_argument(
        "--output", metavar="FILE.png", default="rates.png", help="the picture to write"
    )
    return options


def main(argv: Sequence[str]) -> int:
    """Try the rates, draw them and print the suggestion."""
    options = parser().parse_args(argv)
    if options.steps < _LEAST:
        raise UsageError(f"--steps is {options.steps}: it must be at least {_LEAST}")
    if options.lowest >= options.highest:
        raise UsageError("--lowest must be less than --highest")
    check_place(options.output)
    rates = np.geomspace(options.lowest, options.highest, options.steps)
    with being_read(options.dataset):
        config, dataset = read_options(options, "schedule=constant", "steps_per_execution=1")
        losses = try_rates(config, dataset, rates)
    rates = rates[: len(losses)]
    from trainer.descent.rate_test import suggested_rate

    suggestion = suggested_rate(rates, losses)
    save_figure(plot_rates(rates, losses, suggestion), options.output)
    if len(losses) < options.steps:
        print(f"the loss diverges above a rate of {rates[-1] if len(losses) else 0:.2g}")
    if suggestion is None:
        print("the loss has not fallen at any rate: try more --steps or a lower --lowest")
    else:
        print(f"suggestion: --set learning_rate={suggestion:.2g}")
    print(f"wrote {options.output}")
    return 0


def try_rates(config: Config, dataset: Dataset, rates: np.ndarray) -> np.ndarray:
    """The smoothed losses at rising rates, see :func:`trainer.descent.rate_test.rate_test`.

    Raises
    ------
    UsageError
        If the model, the optimizer or the window do not fit.
    RunError
        If a shard cannot be read.
    """
    tf = import_tensorflow()
    import keras

    from trainer.descent.rate_test import rate_test
    from trainer.descent.tag_weights import tag_weights
    from trainer.input.batches import steps_per_epoch, training_batches
    from trainer.input.records import read_tags, shard_error
    from trainer.input.source import part_source
    from trainer.training.assemble import fill_options
    from trainer.training.fine_tune import read_initial
    from trainer.training.run import compiled_model

    config = fill_options(config)
    source = part_source(dataset, "train", config)
    epochs = -(-len(rates) // steps_per_epoch(source, config.training))
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, epochs=epochs)
    )
    try:
        shares = read_tags(source, _TRACKS_FOR_RATES)[1].mean(axis=0)
        weights = tag_weights(config.training.tag_weights, source.names, dataset.vocabulary, shares)
        keras.utils.set_random_seed(config.training.seed)
        model = compiled_model(
            config, source.window, len(source.names), 1, 1, shares, read_initial(config), weights
        )
        return rate_test(model, training_batches(source, config), rates)
    except tf.errors.OpError as error:
        raise shard_error(source.shards, error) from error


if __name__ == "__main__":
    run_command(main)
