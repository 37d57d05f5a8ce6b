"""The exporter: one process a node that serves its GPUs and inference engines under one schema."""
