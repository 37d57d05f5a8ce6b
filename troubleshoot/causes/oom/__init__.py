"""Memory that does not suffice, of the GPU or of the host: one module a cause."""
