"""How much may pass, and how much money may be spent, over the whole fleet: what one sidecar counts and decides by.

Pure: no clock, no network. The caller brings the time in monotonic seconds; `sidecar/limiter.py` does the waiting, and
`sidecar/stores/` reaches what sidecars share. What the fleet as a whole may exceed, and why, is decision 12.
"""
