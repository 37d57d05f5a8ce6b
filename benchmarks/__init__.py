"""Ratios against peers and against the limit, side by side in one run."""
