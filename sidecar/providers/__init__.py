"""The way out: an attempt becomes an HTTP request with the provider's credentials, and its answer or its error."""
