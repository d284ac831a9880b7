"""The controller's HTTP API: `routes.py` is its table of contents, the other files hold its handlers by subject."""
