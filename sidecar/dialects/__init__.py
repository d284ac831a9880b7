"""One package per wire dialect, each with the same files: request, response, stream, tap, errors."""
