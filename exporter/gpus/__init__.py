"""Reading the node's GPUs by NVML into series under dcgm-exporter's names."""
