"""Other programs that run evals through a sidecar; each is an extra, and imported when it is asked for."""
