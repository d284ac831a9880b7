"""What sidecars share, behind the port `LimitStore`: a module per kind of store, imported when one is configured."""
