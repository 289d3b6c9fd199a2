"""Metrics: every name the agent shows to Prometheus, with its labels and what it counts."""
