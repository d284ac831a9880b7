"""What people watch: counters in the Prometheus text format, and recent calls. Never a prompt, an answer or a key."""
