"""A corpus of made music in the real formats."""
