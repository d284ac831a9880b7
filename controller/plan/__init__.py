"""What a change of the rules would do: what it changes, and where recorded calls would go under it. Pure."""
