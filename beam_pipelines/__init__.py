"""From an audio tree, a summary and a tag database to sharded TFRecords."""

import os

from beam_pipelines.runtime.light_beam import import_without_pandas
from schemas import __version__ as __version__

# The workers are parallel already: a pool of BLAS threads under each only gets in the way.
# Read when NumPy is imported, so it stands here; child processes inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import_without_pandas()
