"""What a name, an address or a package says."""

import pytest

from controller.audit.signs import known_signs


@pytest.mark.parametrize(
    ("text", "kind", "vendor", "name"),
    [
        ("gpt-5", "model", "openai", "gpt-5"),
        ("gpt-4o-2024-08-06", "model", "openai", "gpt-4o"),
        ("azure/gpt-4.1-mini", "model", "openai", "gpt-4-1-mini"),
        ("openrouter/openai/gpt-5", "model", "openai", "gpt-5"),
        ("o4-mini", "model", "openai", "o4-mini"),
        ("text-embedding-3-large", "embedding", "openai", "text-embedding-3-large"),
        ("claude-sonnet-4-6", "model", "anthropic", "claude-sonnet-4-6"),
        ("anthropic/claude-sonnet-4.6", "model", "anthropic", "claude-sonnet-4-6"),
        ("us.anthropic.claude-sonnet-4-6-20260217-v1:0", "model", "anthropic", "claude-sonnet-4-6"),
        ("claude-sonnet-4-6@20260217", "model", "anthropic", "claude-sonnet-4-6"),
        ("models/gemini-2.5-flash", "model", "google", "gemini-2-5-flash"),
        ("gemini-embedding-001", "embedding", "google", "gemini-embedding-001"),
        ("meta-llama/Llama-4-Scout", "model", "meta", "llama-4-scout"),
        ("mistral-large-latest", "model", "mistral", "mistral-large"),
        ("deepseek-chat", "model", "deepseek", "deepseek-chat"),
    ],
)
def test_a_model_by_any_of_its_names_is_one_model(text: str, kind: str, vendor: str, name: str) -> None:
    sign = known_signs().of_model(text)
    assert sign is not None
    assert (sign.kind, sign.vendor, sign.name) == (kind, vendor, name)


@pytest.mark.parametrize(
    "text", ["customer-support", "option-1", "o", "oauth", "claude", "nova", "command-line", "text/plain"]
)
def test_other_words_are_no_models(text: str) -> None:
    assert known_signs().of_model(text) is None


@pytest.mark.parametrize(
    ("url", "kind", "vendor"),
    [
        ("https://api.openai.com/v1", "url", "openai"),
        ("https://contoso.openai.azure.com/openai", "url", "openai"),
        ("https://europe-west4-aiplatform.googleapis.com/v1", "url", "google"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "url", ""),
        ("https://openrouter.ai/api/v1", "gateway", ""),
        ("http://localhost:4100/v1", "sidecar", ""),
        ("http://127.0.0.1:4100", "sidecar", ""),
        ("http://pointsman-sidecar.platform.svc/v1", "sidecar", ""),
    ],
)
def test_an_address_says_who_is_called(url: str, kind: str, vendor: str) -> None:
    sign = known_signs().of_url(url)
    assert sign is not None
    assert (sign.kind, sign.vendor) == (kind, vendor)


@pytest.mark.parametrize(
    "url", ["http://localhost:3000", "https://openai.example.org", "https://myapi.openai.company.io", "http://[::1", "http://a:b"]
)  # fmt: skip
def test_other_addresses_say_nothing(url: str) -> None:
    assert known_signs().of_url(url) is None


def test_a_package_is_known_by_the_path_that_code_imports() -> None:
    signs = known_signs()
    assert signs.of_package("python", "google.genai.types") == signs.of_package("python", "google.genai")
    assert signs.of_package("go", "github.com/openai/openai-go/v3/option") is not None
    assert signs.of_package("java", "software.amazon.awssdk.services.bedrockruntime.model.Message") is not None
    assert signs.of_package("javascript", "openai-fetch") is None
    assert signs.of_package("python", "google.cloud.storage") is None
