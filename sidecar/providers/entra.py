"""Tokens of Microsoft Entra ID for Azure's AI services, by Microsoft's own library (extra `azure`)."""

from schemas.bundle import EntraIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.refreshed import Fetched

SCOPE = "https://cognitiveservices.azure.com/.default"
"""What Azure OpenAI asks of a token (learn.microsoft.com, "Azure OpenAI REST API reference", Authentication)."""

RENEW_BEFORE_SECONDS = 300.0


def fetch_entra_token(_identity: EntraIdentity, _now: float) -> Fetched[str]:
    """Blocks. Workload identity, managed identity, the environment's service principal, or a developer's own login.

    Raises:
        CredentialRefused: the library is not installed, or none of these gives a token.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise CredentialRefused("Entra ID needs azure-identity: install pointsman[azure]") from error
    try:
        with DefaultAzureCredential() as credential:
            token = credential.get_token(SCOPE)
    except (AzureError, ValueError, OSError) as error:
        # Its own text may tell tenants and accounts.
        raise CredentialRefused(f"Entra ID gave no token: {type(error).__name__}") from error
    return Fetched(token.token, token.expires_on - RENEW_BEFORE_SECONDS, token.expires_on)
