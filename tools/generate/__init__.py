"""Generators of the files that are written from something else."""
