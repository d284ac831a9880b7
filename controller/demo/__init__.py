"""Everything that `pointsman demo` starts on localhost: a simulated provider and, on request, a real small model.

Nothing here is used by a sidecar or a controller in production.
"""
