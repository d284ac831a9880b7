"""The arithmetic of comparing two models on the same samples. Pure: numbers in, numbers out.

Differences are always candidate minus incumbent. Quality runs from 0 to 1. Tests hold every function to published or
independently computed values (`tests/golden/evals/vectors.json`).
"""
