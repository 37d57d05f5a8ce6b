"""Checks: would the API server take it, is it what it seems, is it safe."""
