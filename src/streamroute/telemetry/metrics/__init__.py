"""Prometheus metrics, one concern a file, fed by observations only."""
