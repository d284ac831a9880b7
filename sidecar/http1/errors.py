"""How a request ends without an answer.

NotReached        no connection: nothing of the request has left
Lost              the connection broke, or what came over it is not HTTP
"""


class NotReached(Exception):
    """The text is for people, and never holds a URL or a header."""


class Lost(Exception):
    """The text is for people, and never holds a URL, a header or a body."""

    def __init__(self, why: str, *, is_unanswered: bool = False) -> None:
        super().__init__(why)
        self.is_unanswered = is_unanswered
        """Not a byte of an answer had come."""
