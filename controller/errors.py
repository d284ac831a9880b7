"""The controller's error tree. A class says who can mend it; what the loop or the API then does follows from the class.

ControllerError              every error below; its text is safe to show: no credential, no token
├── CannotStart              wrong settings or files: a person must act before the program can run (exit status 2)
│   └── ForeignKey           another key than ours signed what runs: while it runs, it serves that and changes nothing
├── SourceUnavailable        the rules cannot be read just now: keep what runs, try again at the next look
├── Refused                  this revision must not run: keep what runs until another revision comes
├── LedgerBusy               too many batches wait to be written: the sidecar sends again later
├── LedgerUnavailable        the database does not answer: whoever asked asks again later
└── ApiError                 what a client of the API did wrong, or must wait for; carries status and code
"""

from collections.abc import Sequence

from schemas.problems import Problem


class ControllerError(Exception):
    """`str(error)` is safe to show to anyone: it never holds a credential."""


class CannotStart(ControllerError):
    """The message says which setting or file, and what would be right."""


class ForeignKey(CannotStart):
    """Of several controllers this one has a signing key of its own."""


class SourceUnavailable(ControllerError):
    """The repository or folder could not be read; nothing is wrong with the rules themselves, as far as we know."""


class Refused(ControllerError):
    """A revision with errors among its problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


class LedgerBusy(ControllerError):
    """The writer is behind; nothing of the batch was booked."""


class LedgerUnavailable(ControllerError):
    """The database cannot be read or written just now; nothing of what was asked is done."""


class ApiError(ControllerError):
    """Answered as `{"error": {"code", "message"}}` with its HTTP status."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
