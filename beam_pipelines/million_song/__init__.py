"""The Million Song Dataset's own files: the summary and the Last.fm tags."""
