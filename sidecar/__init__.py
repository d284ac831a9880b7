"""The gateway beside an agent: one call in, one routed, counted and recorded answer out."""
