"""What the service calls a model, however it was loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# One signature: its one input, float32 [batch, ...], to its outputs by name, arrays all but
# 'tags', a list of str.
Model = Callable[[np.ndarray], dict[str, Any]]
