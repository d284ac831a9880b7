"""OpenAI's endpoints that nobody else has: requests pass on as they came; a JSON body's model is all that is read."""

from dataclasses import replace

import msgspec

from sidecar.dialects.base import BODY_ALONE, Envelope, InPath
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import MalformedRequest

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODEL = msgspec.json.Decoder(str | None)


def open_any(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """An empty body is one that is not read here: a form, a file, or none. A form's model is given beside it.

    Raises:
        MalformedRequest: no JSON object, or a model that is no name.
    """
    try:
        fields = _FIELDS.decode(body) if body else {}
        model = _MODEL.decode(fields["model"]) if "model" in fields else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"the body must be a JSON object, and its `model` a name: {error}") from error
    return Envelope(
        body=body,
        fields=fields,
        model=model or in_path.model,
        stream=False,
        wants_usage=True,
        needs=frozenset(),
        input_tokens=0,
        max_output_tokens=0,
        metadata={},
    )


OPENAI_PASSING = replace(OPENAI_CHAT, open=open_any)
