"""Boards drawn without Grafana: their own queries against a Prometheus, on one page that anybody can open."""
