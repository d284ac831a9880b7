"""The files that people write, as pydantic models: strict, frozen, and documented for whoever edits them."""
