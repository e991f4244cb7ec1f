"""The data set that the tests of the loops share."""

import pytest

from schemas.audio_spec import LOG_MEL
from tests.helpers.datasets import tone_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    return tone_dataset(folder, LOG_MEL, train=40, validation=5, test=0)
