"""The books: every call once, what it cost, and the daily sums that people read."""
