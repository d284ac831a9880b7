"""Prices from a package that others keep, into rule files that people review."""
