"""Grafana boards over the canonical schema: PromQL, panels, one module a board -> JSON, ConfigMaps, resources."""
