"""From the bytes of a file to samples, spectrograms and what is judged by them; no Beam."""
