"""A vendor's outage, rehearsed: which use cases go on, where their calls go, and at what cost."""
