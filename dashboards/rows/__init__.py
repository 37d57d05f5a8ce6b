"""Rows that several boards have, each over what a board looks at: models, or replicas."""
