"""An HTTP/1.1 client of our own: bytes, connections and a pool. It knows nothing of providers, rules or our errors."""
