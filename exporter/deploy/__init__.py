"""Running the exporter on a cluster: one set of values, and the Kubernetes objects made from it."""
