"""From audio to tags: files and folders, a microphone, a page."""

import os

from schemas import __version__ as __version__

# Files are decoded side by side: a pool of BLAS threads under each only gets in the way.
# Read when NumPy is imported, so it stands here; child processes inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
