"""HTTP/1.1 of our own: a client with its pool, and a server of plain requests. It knows nothing of providers, rules or
our errors."""
