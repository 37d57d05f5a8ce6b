"""The rows of the GPU board, one module a subject."""
