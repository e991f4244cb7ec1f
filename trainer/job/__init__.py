"""A job directory and the state of a training in it."""
