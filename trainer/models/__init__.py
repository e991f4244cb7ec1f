"""Networks by name, and their layers."""
