"""The steps that a build and a retagging share."""
