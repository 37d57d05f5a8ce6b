"""Log bytes -> lines that mean something -> facts."""
