"""A simulated provider: it speaks OpenAI Chat Completions and Anthropic Messages on one port, and fails on request.

No model stands behind it. Every answer says so, and is a function of the request. `server.create_app` hosts it in a
program of one's own; `python -m controller.demo.simulator` runs it alone.
"""
