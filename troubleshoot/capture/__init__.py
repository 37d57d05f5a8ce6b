"""A running engine's log and metrics taken down, without secrets and prompts, to be looked at elsewhere."""
