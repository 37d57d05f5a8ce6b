"""Bundled runs of real engines, their reader, and the server that plays one back."""
