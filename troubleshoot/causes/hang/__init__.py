"""An engine that is alive and does nothing: one module a cause."""
