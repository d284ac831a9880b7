"""`providers/<provider>.yaml`: one account at one company's API, or a server of your own."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from schemas.bundle import Layout
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
_API_VERSION = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$"
ApiVersion = Annotated[
    str,
    StringConstraints(pattern=_API_VERSION),
    text_like(_API_VERSION, "an API version", max_length=32, examples=["2024-10-21", "2025-04-01-preview"]),
]
HeaderValue = Annotated[
    str,
    StringConstraints(pattern=_PRINTABLE, max_length=1024),
    text_like(_PRINTABLE, "", max_length=1024, description="a line of printable ASCII characters"),
]


Kinds = TypeVar("Kinds", bound=BaseModel)


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


SecretReferences = Annotated[tuple[SecretReference, ...], Field(min_length=1)]


class AzureAuth(Rules):
    """How the sidecar proves itself to Azure OpenAI: by a key in the header `api-key`, or by Entra ID."""

    api_key: SecretReference | None = None
    """Where the resource's key is found."""
    api_keys: SecretReferences | None = None
    """Both keys of the resource, used in turn."""
    entra: Literal[True] | None = None
    """Tokens of Microsoft Entra ID: workload identity, managed identity, or what the environment names. The sidecar
    needs the extra `azure`."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        return _exactly_one(self, "azure-auth-kind")


class GoogleAuth(Rules):
    """How the sidecar proves itself to Google Cloud. The sidecar needs the extra `google`."""

    file: AbsolutePath | None = None
    """Absolute path of a service account's key; left out: application default credentials (workload identity)."""


class AwsAuth(Rules):
    """How the sidecar proves itself to AWS: requests are signed. The sidecar needs the extra `aws`."""

    region: Name
    """The region that requests are signed for: `us-east-1`."""
    profile: Name | None = None
    """A profile of AWS's own configuration; left out: its own chain (web identity, container and instance roles)."""


class Auth(Rules):
    """How the sidecar proves itself to the provider."""

    api_key: SecretReference | None = None
    """Where the provider's API key is found: `{env: NAME}` or `{file: /path}`."""
    api_keys: SecretReferences | None = None
    """Several keys, used in turn: one that is refused or throttled rests while the others serve."""
    azure: AzureAuth | None = None
    """Azure OpenAI: `{api_key: {env: NAME}}` or `{entra: true}`."""
    google: GoogleAuth | None = None
    """Google Cloud (Vertex AI): `{}` or `{file: /path}`."""
    aws: AwsAuth | None = None
    """AWS (Bedrock): `{region: us-east-1}`."""
    caller_key: Literal[True] | None = None
    """The key that the caller sent is passed on. Only where `pointsman.yaml` names no callers."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        return _exactly_one(self, "auth-kind")

    @property
    def secrets(self) -> tuple[SecretReference, ...]:
        """Where its keys are found, however they were written."""
        holder = self if self.azure is None else self.azure
        return holder.api_keys or (() if holder.api_key is None else (holder.api_key,))


def _exactly_one(auth: Kinds, code: str) -> Kinds:
    """Raises PydanticCustomError: none of the kinds is named, or several."""
    if sum(getattr(auth, kind) is not None for kind in type(auth).model_fields) != 1:
        *others, last = type(auth).model_fields
        raise PydanticCustomError(code, f"name exactly one of {', '.join(others)} or {last}")
    return auth


class DataPolicy(Rules):
    """What the provider promises about the data that it is sent; use cases may require it."""

    regions: tuple[Name, ...] = ()
    """Regions in which this account processes data, in your own words: `eu`, `us`."""
    zero_retention: bool = False
    """True when your contract with the provider says that prompts and answers are not kept."""


class Fields(Rules):
    """Where a compatible host's requests differ from those of the dialect's own vendor."""

    rename: Mapping[Name, Name] = {}
    """A knob to what this host calls it: `{max_completion_tokens: max_tokens}`."""
    drop: tuple[Name, ...] = ()
    """Knobs that this host refuses: left out, and named in `x-pointsman-dropped`."""


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
    layout: Layout | None = None
    """Where the URL names the model, for hosts that differ from the dialect's own vendor: `azure-deployments` (Azure
    OpenAI by `api_version`; its v1 API needs no layout), `vertex` (Gemini and Claude at Vertex AI) or `bedrock-invoke`
    (Claude at Amazon Bedrock in its own dialect)."""
    api_version: ApiVersion | None = None
    """Azure OpenAI's `api-version`, with `layout: azure-deployments`."""
    headers: Mapping[Name, HeaderValue] = {}
    """Further headers for every call to this provider. Never a secret."""
    fields: Fields = Fields()
    """Knobs of a request's body that this host calls otherwise, or refuses."""
    data: DataPolicy = DataPolicy()
    """What the provider promises about data."""
    limits: Limits | None = None
    """What this account may send."""
    trace_context: bool = False
    """True for a server of your own that continues W3C traces, such as vLLM or a LiteLLM proxy: it is sent
    `traceparent`, `tracestate` and `baggage`. No other provider sees them."""
