"""The diagnosis: sources -> events and windows -> facts -> causes -> report."""
