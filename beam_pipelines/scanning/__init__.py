"""What is measured of an audio file, and the tables of a scan."""
