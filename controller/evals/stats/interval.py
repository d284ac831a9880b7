"""A range that holds the truth with a stated confidence."""

from typing import NamedTuple


class Interval(NamedTuple):
    low: float
    high: float
