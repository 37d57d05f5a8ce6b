"""Checks: does it stay up, while it starts, while it is changed, when a node goes."""
