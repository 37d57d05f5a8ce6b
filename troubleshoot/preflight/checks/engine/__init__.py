"""Checks: the engine's own settings and flags."""
