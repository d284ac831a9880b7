"""Where what a fleet is to run is kept: `state.py` is the port, the other files are the places."""
