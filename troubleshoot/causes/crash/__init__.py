"""An engine that does not start, or dies, or answers requests with errors: one module a cause."""
