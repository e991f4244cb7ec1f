"""How good a model is: scores, metrics, intervals, figures."""
