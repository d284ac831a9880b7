import hashlib
import hmac

import pytest

from controller.hooks import is_from_the_forge

SECRET = b"a secret of some length"
BODY = b'{"ref": "refs/heads/main"}'
MADE = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"x-hub-signature-256": f"sha256={MADE}"}, True),
        ({"x-gitea-signature": MADE}, True),
        ({"x-gitlab-token": SECRET.decode()}, True),
        ({"x-hub-signature-256": f"sha256={MADE[:-1]}0"}, MADE[-1] == "0"),
        ({"x-hub-signature-256": "sha256="}, False),
        ({"x-hub-signature-256": "sha256=é"}, False),
        ({"x-hub-signature-256": "sha256=0", "x-gitlab-token": SECRET.decode()}, False),
        ({"x-gitlab-token": "another"}, False),
        ({}, False),
    ],
)
def test_who_knows_the_secret(headers: dict[str, str], is_ours: bool) -> None:
    assert is_from_the_forge(headers, BODY, SECRET) is is_ours


def test_another_body_has_another_signature() -> None:
    assert not is_from_the_forge({"x-gitea-signature": MADE}, BODY + b" ", SECRET)


def test_the_example_of_github_s_own_page() -> None:
    """ "Validating webhook deliveries", Testing the webhook payload validation."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature}
    assert is_from_the_forge(headers, b"Hello, World!", b"It's a Secret to Everybody")
