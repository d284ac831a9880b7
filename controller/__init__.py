"""Turns rule files in git into what every sidecar runs, and keeps the books."""
