"""Other gateways' configuration to rule files. Pure: text in, files and notes out; no secret is ever copied."""
