"""SigV4: the requests of AWS's published test suite, and botocore's own output for requests as we send them."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sidecar.providers.sigv4 import AwsKeys, Scope, signature_headers

SUITE_KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_SCOPE = Scope("us-east-1", "service")
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
SUITE_HOST = "https://example.amazonaws.com"
SUITE_SESSION_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7"
    "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+x"
    "o0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        pytest.param(
            "GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", id="get-vanilla"
        ),
        pytest.param(
            "POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", id="post-vanilla"
        ),
        pytest.param(
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            "GET",
            "/?Param1=value2&Param1=value1",
            {},
            b"",
            "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
            id="get-vanilla-query-order-value",
        ),
        pytest.param(
            "GET",
            "/?%E1%88%B4=bar",
            {},
            b"",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            id="get-vanilla-utf8-query",
        ),
        pytest.param(
            "GET",
            f"/?{UNRESERVED}={UNRESERVED}",
            {},
            b"",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            id="get-vanilla-query-unreserved",
        ),
        pytest.param(
            "GET",
            f"/{UNRESERVED}",
            {},
            b"",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            id="get-unreserved",
        ),
        # The suite encodes its paths once; what stands encoded on the wire is encoded a second time.
        pytest.param(
            "GET", "/ሴ", {}, b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", id="get-utf8"
        ),
        pytest.param(
            "GET",
            "/",
            {"my-header1": "value1", "my-header2": '"a   b   c"'},
            b"",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            id="get-header-value-trim",
        ),
        pytest.param(
            "POST",
            "/",
            {"my-header1": "VALUE1"},
            b"",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            id="post-header-value-case",
        ),
        pytest.param(
            "POST",
            "/?Param1=value1",
            {},
            b"",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            id="post-vanilla-query",
        ),
        pytest.param(
            "POST",
            "/",
            {"content-type": FORM},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            "POST",
            "/",
            {"content-type": f"{FORM}; charset=utf8"},
            b"Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            id="post-x-www-form-urlencoded-parameters",
        ),
    ],
)
def test_a_request_of_the_published_suite_gets_its_signature(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    added = signature_headers(SUITE_KEYS, SUITE_SCOPE, method, SUITE_HOST + path, headers, body, SUITE_TIME)
    names = ";".join(sorted(["host", "x-amz-date", *headers]))
    assert added == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}",
    }


def test_a_session_token_is_sent_and_signed_as_in_the_published_suite() -> None:
    keys = AwsKeys(SUITE_KEYS.access_key, SUITE_KEYS.secret_key, SUITE_SESSION_TOKEN)
    added = signature_headers(keys, SUITE_SCOPE, "POST", f"{SUITE_HOST}/", {}, b"", SUITE_TIME)
    assert added["x-amz-security-token"] == SUITE_SESSION_TOKEN
    assert added["authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-6-v1:0/converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-6-v1%3A0/converse-stream",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
        "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fmine/converse",
        "http://127.0.0.1:8080/model/m/converse?b=2&a=%20x&a=1&c",
    ],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_what_botocore_signs_we_sign_alike(url: str, token: str | None) -> None:
    body, headers = b'{"messages": []}', {"content-type": "application/json", "x-amz-more": " two   words "}
    request = AWSRequest("POST", url, headers=dict(headers), data=body)
    SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "bedrock", "us-east-1").add_auth(request)
    signed_at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    keys = AwsKeys("AKIDEXAMPLE", "secret", token)
    added = signature_headers(keys, Scope("us-east-1", "bedrock"), "POST", url, headers, body, signed_at)
    assert added["authorization"] == request.headers["Authorization"]
    assert added.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")


def test_secrets_do_not_show_in_the_text_of_keys() -> None:
    assert "secret" not in repr(AwsKeys("AKIDEXAMPLE", "secret", "secret"))
