"""Our dialect-free form of a chat call: request, response, stream events. Values only.

Every dialect decodes into it and encodes out of it, so that N dialects need 2N codecs and not N × (N-1) translators.
Content is never dropped: a codec that has no place for a part raises `CannotCarry`. A tuning knob that a dialect lacks
is left out and named.
"""
