"""What crosses a wall between the data, the trainer and the service.

Nothing in this package imports Beam, TensorFlow or librosa at module level, so
that an audio worker, the lite player and the trainer can all afford it.
"""

from schemas.common import stopping

__version__ = "0.2.0"

if stopping.is_command():
    stopping.stop_quietly()
