"""From a data set to a tagger: training, evaluation, export."""

from schemas import __version__ as __version__
