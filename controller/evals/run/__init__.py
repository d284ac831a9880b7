"""A run of an eval set: each sample asked of each model through a sidecar, once, whatever happens in between."""
