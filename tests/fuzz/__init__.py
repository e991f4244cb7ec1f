"""Inputs that are damaged at random."""
