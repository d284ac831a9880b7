"""Whether an answer is good enough to be handed over. Pure."""
