"""Plots as SVG that needs nothing else: for reports and for the dashboard."""
