"""Where rules come from and how they take effect: source → verify → build → swap → keep on disk → report."""
