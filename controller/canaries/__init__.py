"""Traffic that moves to a candidate in steps and stops by itself."""
