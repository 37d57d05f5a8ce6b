"""Scrapes -> canonical series over time."""
