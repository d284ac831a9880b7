"""The contract between the parts: rule files, bundle, status, record, problems. Pure values; no I/O."""
