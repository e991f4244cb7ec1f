"""The errors that a user can put right."""


class UsageError(Exception):
    """Bad arguments or bad input: one clear line, exit code 2, nothing written."""


class RunError(Exception):
    """The work could not be finished: one clear line, exit code 1."""
