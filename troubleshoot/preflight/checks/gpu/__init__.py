"""Checks: do model, engine and settings fit the GPUs and the memory that they get."""
