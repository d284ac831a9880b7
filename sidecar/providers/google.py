"""Tokens of Google Cloud, by Google's own library (extra `google`)."""

from datetime import UTC

from schemas.bundle import GoogleIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.refreshed import Fetched

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What Vertex AI asks of a token (docs.cloud.google.com, "Authenticate to Vertex AI")."""

RENEW_BEFORE_SECONDS = 300.0
UNDATED_SECONDS = 600.0
"""How long a token is taken for good whose end is not said."""


def fetch_google_token(identity: GoogleIdentity, now: float) -> Fetched[str]:
    """Blocks. A service account's key from a file, else application default credentials (workload identity and others).

    Raises:
        CredentialRefused: the library is not installed, there are no credentials, or they give no token.
    """
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.service_account import Credentials
    except ImportError as error:
        raise CredentialRefused("Google Cloud needs google-auth: install pointsman[google]") from error
    try:
        if identity.file is None:
            credentials, _project = google.auth.default(scopes=[SCOPE])
        else:
            credentials = Credentials.from_service_account_file(identity.file, scopes=[SCOPE])  # type: ignore[no-untyped-call]
        credentials.refresh(Request())  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError, OSError) as error:
        place = "" if identity.file is None else f" for {identity.file}"
        raise CredentialRefused(f"Google gave no token{place}: {type(error).__name__}") from error
    token = str(credentials.token)
    if credentials.expiry is None:
        return Fetched(token, now + UNDATED_SECONDS / 2, now + UNDATED_SECONDS)
    expires_at = credentials.expiry.replace(tzinfo=UTC).timestamp()
    return Fetched(token, expires_at - RENEW_BEFORE_SECONDS, expires_at)
