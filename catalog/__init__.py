"""What is measured: the only place where a metric name is spelled."""
