"""The waiting part of limits: `Limits` asks `sidecar/limits` what passes, and the shared store for more."""
