"""A network with its front end: clip in, tags out; as SavedModel and LiteRT."""
