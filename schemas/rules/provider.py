"""`providers/<provider>.yaml`: one account at one company's API, or a server of your own."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.rules.base import DialectName, Limits, Name, Rules, Text, text_like

_VARIABLE, _PATH, _URL, _PRINTABLE = r"^[A-Za-z_][A-Za-z0-9_]*$", r"^/", r"^https?://", r"^[ -~]+$"
EnvironmentVariable = Annotated[
    str,
    StringConstraints(pattern=_VARIABLE, max_length=128),
    text_like(
        _VARIABLE,
        "the name of an environment variable",
        max_length=128,
        writeOnly=True,
        examples=["ANTHROPIC_API_KEY"],
    ),
]
AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=_PATH, max_length=1024),
    text_like(_PATH, "an absolute path", max_length=1024, examples=["/var/run/secrets/anthropic"]),
]
BaseUrl = Annotated[
    str,
    StringConstraints(pattern=_URL, max_length=1024),
    text_like(_URL, "an http or https URL", max_length=1024, examples=["https://api.openai.com/v1"]),
]
HeaderValue = Annotated[
    str,
    StringConstraints(pattern=_PRINTABLE, max_length=1024),
    text_like(_PRINTABLE, "", max_length=1024, description="a line of printable ASCII characters"),
]


class SecretReference(Rules):
    """Where a secret is found at run time: an environment variable or a file. The secret itself never stands here."""

    env: EnvironmentVariable | None = None
    """Name of the environment variable that holds the secret in the sidecar."""
    file: AbsolutePath | None = None
    """Absolute path of the file that holds the secret; read anew when it changes."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError("secret-reference", "name exactly one of env or file")
        return self


class Auth(Rules):
    """How the sidecar proves itself to the provider."""

    api_key: SecretReference | None = None
    """Where the provider's API key is found: `{env: NAME}` or `{file: /path}`."""
    api_keys: Annotated[tuple[SecretReference, ...], Field(min_length=1)] | None = None
    """Several keys, used in turn: one that is refused or throttled rests while the others serve."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.api_key is None) == (self.api_keys is None):
            raise PydanticCustomError("auth-kind", "name exactly one of api_key or api_keys")
        return self

    @property
    def secrets(self) -> tuple[SecretReference, ...]:
        """Where its keys are found, however they were written."""
        return self.api_keys or (() if self.api_key is None else (self.api_key,))


class DataPolicy(Rules):
    """What the provider promises about the data that it is sent; use cases may require it."""

    regions: tuple[Name, ...] = ()
    """Regions in which this account processes data, in your own words: `eu`, `us`."""
    zero_retention: bool = False
    """True when your contract with the provider says that prompts and answers are not kept."""


class Provider(Rules):
    """One account at one company's API, or a server of your own."""

    provider: Name
    """The provider's name in these rules; the same as the file's name."""
    dialect: DialectName
    """The wire shape that it speaks: `openai` for every OpenAI-compatible API."""
    base_url: BaseUrl
    """What the vendor's own SDK takes: OpenAI-style ends in `/v1`, Anthropic's has no version."""
    description: Text | None = None
    """What this account is for; for people."""
    auth: Auth | None = None
    """Leave it out for a server that asks for no key."""
    headers: Mapping[Name, HeaderValue] = {}
    """Further headers for every call to this provider. Never a secret."""
    data: DataPolicy = DataPolicy()
    """What the provider promises about data."""
    limits: Limits | None = None
    """What this account may send."""
