"""Checks: is it scraped, and does what acts on metrics act on some that exist."""
