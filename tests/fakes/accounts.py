"""Identities that no cloud has given: files and keys that only these tests' own token servers believe."""

import json
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@lru_cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account(folder: Path, token_uri: str) -> str:
    """The path of a Google service account's file whose tokens come from `token_uri`."""
    path = folder / "account.json"
    content = {"type": "service_account", "client_email": "bot@p.example", "private_key": private_key()}
    content |= {"token_uri": token_uri, "project_id": "p", "private_key_id": "1", "client_id": "1"}
    path.write_text(json.dumps(content))
    return str(path)
