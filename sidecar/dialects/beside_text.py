"""What stands beside an answer's text: citations, and how likely each token was; in the words of OpenAI's dialects."""

from collections.abc import Iterable

import msgspec

from sidecar.canonical.request import Citation, TokenLogprob


def placed(citation: Citation, begin: int, end: int) -> Citation:
    """The citation with its stretch named, for a part that stands between two places of what the dialect counts in."""
    return msgspec.structs.replace(
        citation,
        start=begin + (citation.start or 0),
        end=end if citation.end is None else begin + citation.end,
    )


def url_citation(citation: Citation) -> dict[str, object]:
    """As both of OpenAI's dialects say it, for one whose stretch is named."""
    return {
        "start_index": citation.start,
        "end_index": citation.end,
        "title": citation.title,
        "url": citation.url,
    }


class UrlCitation(msgspec.Struct, frozen=True):
    """Of Responses; in chat it stands inside an annotation. Citations of other kinds name what lives at OpenAI."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None

    def decoded(self) -> Citation | None:
        if not self.url:
            return None
        return Citation(url=self.url, title=self.title or "", start=self.start_index, end=self.end_index)


def decode_citations(wire: Iterable[UrlCitation] | None) -> tuple[Citation, ...]:
    return tuple(citation for each in wire or () if (citation := each.decoded()) is not None)


def openai_logprobs(logprobs: Iterable[TokenLogprob]) -> list[dict[str, object]]:
    return [_openai_logprob(each) | {"top_logprobs": [_openai_logprob(top) for top in each.top]} for each in logprobs]


def _openai_logprob(each: TokenLogprob) -> dict[str, object]:
    utf8 = each.token.encode(errors="replace") if each.utf8 is None else each.utf8
    return {"token": each.token, "logprob": each.logprob, "bytes": list(utf8)}


class WireLogprob(msgspec.Struct, frozen=True):
    """Of both of OpenAI's dialects; only the outer one has `top_logprobs`."""

    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None
    top_logprobs: "list[WireLogprob] | None" = None


def decode_logprobs(wire: Iterable[WireLogprob] | None) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token=each.token,
            logprob=each.logprob,
            utf8=each.bytes,
            top=tuple(
                TokenLogprob(token=top.token, logprob=top.logprob, utf8=top.bytes) for top in each.top_logprobs or ()
            ),
        )
        for each in wire or ()
    )
