"""Inference engines: found, recognised, scraped, and relabelled to the canonical schema."""
