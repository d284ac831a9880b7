"""The one place that says which version of the whole application this is."""

VERSION = "0.1.0"
