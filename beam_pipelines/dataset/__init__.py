"""The build: plan, write and finish of a data set."""
