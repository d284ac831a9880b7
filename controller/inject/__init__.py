"""Gives agents' pods their sidecar when they ask for one: an admission webhook of Kubernetes."""
