"""Amazon Bedrock's Converse: one value that holds the dialect's functions. Targets speak it; no agent calls in it."""

from urllib.parse import quote

from sidecar.dialects.base import TargetDialect
from sidecar.dialects.bedrock.errors import decode_error
from sidecar.dialects.bedrock.request import encode_request
from sidecar.dialects.bedrock.response import decode_response
from sidecar.dialects.bedrock.stream import BedrockDecoder


def path_to(model: str, stream: bool) -> str:
    """A model's id may be an ARN: its colons and slashes are a part of one path segment (botocore's service model,
    `Converse`: `/model/{modelId}/converse`)."""
    return f"/model/{quote(model, safe='')}/" + ("converse-stream" if stream else "converse")


BEDROCK = TargetDialect(
    name="bedrock",
    encode_request=encode_request,
    decode_response=decode_response,
    new_decoder=BedrockDecoder,
    decode_error=decode_error,
    path=path_to,
)
