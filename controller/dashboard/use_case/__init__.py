"""The page of one use case: its rule, its traffic, its canary, its evals, its history."""
