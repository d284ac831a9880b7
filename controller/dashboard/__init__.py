"""Pages for people: what the controller knows, as HTML, JSON and CSV from the same values."""
