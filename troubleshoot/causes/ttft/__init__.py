"""A first token that comes late: one module a cause."""
