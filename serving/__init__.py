"""From audio to tags: files and folders, a microphone, a page."""

import beam_pipelines as beam_pipelines  # first: it readies the process for Beam and NumPy
from schemas import __version__ as __version__
