"""A microphone's sound, while it comes in."""
