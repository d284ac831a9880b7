"""Graders, a file per kind: what an answer is worth, from 0 to 1, or None where that cannot be told."""
