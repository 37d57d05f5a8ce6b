"""One pod or all replicas of a workload, read through the Kubernetes API server. Nothing here changes anything."""
