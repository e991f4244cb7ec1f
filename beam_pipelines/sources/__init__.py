"""Where songs, files and tags come from."""
