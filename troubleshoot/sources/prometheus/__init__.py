"""Evidence from a store that speaks Prometheus's HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""
