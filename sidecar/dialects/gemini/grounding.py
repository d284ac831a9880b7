"""What stands beside the text of a candidate: what it rests on, and how likely each token was (google-genai,
`GroundingMetadata`, `LogprobsResult`). Google counts a text in bytes of UTF-8.
"""

from collections.abc import Iterable, Sequence

import msgspec

from sidecar.canonical.request import Citation, ServerCall, TokenLogprob


class _Web(msgspec.Struct, frozen=True):
    uri: str | None = None
    title: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    web: _Web | None = None


class _Segment(msgspec.Struct, frozen=True, rename="camel"):
    start_index: int = 0
    end_index: int | None = None
    part_index: int = 0


class _Support(msgspec.Struct, frozen=True, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, frozen=True, rename="camel"):
    """A streamed answer may tell it piece by piece: what is told later stands."""

    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None
    web_search_queries: list[str] | None = None

    def updated(self, later: "Grounding") -> "Grounding":
        return Grounding(
            later.grounding_chunks or self.grounding_chunks,
            later.grounding_supports or self.grounding_supports,
            later.web_search_queries or self.web_search_queries,
        )

    def pages(self) -> tuple[Citation, ...]:
        found = (chunk.web for chunk in self.grounding_chunks or ())
        return tuple(Citation(url=web.uri, title=web.title or "") for web in found if web is not None and web.uri)

    def citations(self, text: str, part_begins: Sequence[int], last_begin: int) -> list[Citation]:
        """
        Args:
            text: all that the candidate said.
            part_begins: for an answer that came whole, the byte of `text` where each part begins; else empty.
            last_begin: the character of `text` where its last part begins, which the citations belong to.
        """
        if not self.grounding_supports:
            return list(self.pages())
        chunks, said = self.grounding_chunks or (), text.encode(errors="replace")
        cited: list[Citation] = []
        for support in self.grounding_supports:
            stretch = _stretch(support.segment, said, part_begins, last_begin)
            for at in support.grounding_chunk_indices or ():
                web = chunks[at].web if 0 <= at < len(chunks) else None
                if web is not None and web.uri:
                    cited.append(Citation(url=web.uri, title=web.title or "", start=stretch[0], end=stretch[1]))
        return cited


def _stretch(
    segment: _Segment | None, said: bytes, part_begins: Sequence[int], last_begin: int
) -> tuple[int | None, int | None]:
    """In characters of the last part; none where the segment is not, or not of that part."""
    if segment is None or segment.end_index is None:
        return None, None
    base = part_begins[segment.part_index] if 0 <= segment.part_index < len(part_begins) else 0
    start = _characters(said, base + segment.start_index) - last_begin
    end = _characters(said, base + segment.end_index) - last_begin
    return (start, end) if 0 <= start <= end else (None, None)


def _characters(said: bytes, byte: int) -> int:
    return len(said[: max(0, byte)].decode(errors="ignore"))


def encode_grounding(cited: Iterable[tuple[int, str, Citation]], searches: Iterable[ServerCall]) -> dict[str, object]:
    """Empty where the answer rests on nothing that it names.

    Args:
        cited: for each citation, the place of its part among the parts and the text that its stretch counts in.
    """
    calls = [call for call in searches if call.tool == "web_search"]
    stretches = list(cited)
    pages: dict[tuple[str, str], int] = {}
    for page in (*(citation for _, _, citation in stretches), *(page for call in calls for page in call.sources)):
        pages.setdefault((page.url, page.title), len(pages))
    supports = [
        {
            "segment": _encode_segment(place, text, citation),
            "groundingChunkIndices": [pages[citation.url, citation.title]],
        }
        for place, text, citation in stretches
    ]
    said = {
        "groundingChunks": [{"web": {"uri": url, "title": title}} for url, title in pages],
        "groundingSupports": supports,
        "webSearchQueries": [query for call in calls for query in call.input.split("\n") if query],
    }
    return {name: value for name, value in said.items() if value}


def _encode_segment(place: int, text: str, citation: Citation) -> dict[str, object]:
    start, end = (len(text[:at].encode(errors="replace")) for at in (citation.start or 0, citation.end))
    segment: dict[str, object] = {"startIndex": start, "endIndex": end}
    return {"partIndex": place} | segment if place else segment


class _Candidate(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(msgspec.Struct, frozen=True):
    candidates: list[_Candidate] | None = None


class Logprobs(msgspec.Struct, frozen=True, rename="camel"):
    chosen_candidates: list[_Candidate] | None = None
    top_candidates: list[_Top] | None = None

    def decoded(self) -> tuple[TokenLogprob, ...]:
        tops = self.top_candidates or []
        return tuple(
            TokenLogprob(
                token=chosen.token,
                logprob=chosen.log_probability,
                top=tuple(
                    TokenLogprob(token=each.token, logprob=each.log_probability)
                    for each in (tops[at].candidates or () if at < len(tops) else ())
                ),
            )
            for at, chosen in enumerate(self.chosen_candidates or ())
        )


def encode_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, object] | None:
    if not logprobs:
        return None
    made: dict[str, object] = {"chosenCandidates": [_encode_logprob(each) for each in logprobs]}
    if any(each.top for each in logprobs):
        made["topCandidates"] = [{"candidates": [_encode_logprob(top) for top in each.top]} for each in logprobs]
    return made


def _encode_logprob(each: TokenLogprob) -> dict[str, object]:
    return {"token": each.token, "logProbability": each.logprob}
