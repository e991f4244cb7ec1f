"""What is written and drawn of a tagged file."""
