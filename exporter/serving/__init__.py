"""Serving what was collected: HTTP with TLS and basic authentication, a status page, and push over OTLP."""
