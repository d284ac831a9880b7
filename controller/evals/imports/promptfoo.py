"""Results of promptfoo: `promptfoo eval -o results.json` or `-o results.jsonl`. Pure.

Fields as in its `EvaluateResult` (types/index.ts, 0.123.1). Its pass or fail is the verdict; `score` and the named
scores are scores.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.evals.imports.found import (
    Found,
    Unclear,
    at,
    digest_of,
    json_records,
    list_at,
    number_at,
    parts_at,
    words_at,
)

ERROR: Final = 2
"""`ResultFailureReason.ERROR`; 1 is a failed assertion."""
STOPPED: Final = {"length": "length", "content_filter": "refusal"}


def fits(data: bytes) -> bool:
    head = data[:200_000]
    return b'"evalId"' in head or (b'"promptIdx"' in head and b'"testIdx"' in head)


def read(data: bytes) -> Iterator[Found]:
    """
    Raises:
        Unclear: it is no such file.
    """
    version, results = _results(data)
    arms = _arms(results)
    descriptions = _descriptions(results)
    for number, result in enumerate(results, start=1):
        if "success" not in result:
            raise Unclear("is no result of promptfoo's", "export with `promptfoo eval -o results.json`", number)
        yield _found(number, result, arms[_arm(result)], descriptions.get(_test(result)), version)


def _found(number: int, result: dict[str, Any], model: str, description: str | None, version: str | None) -> Found:
    test = at(result, "testCase", "metadata")
    status = _status(result)
    was_cached = at(result, "response", "cached") is True
    has_answer = status in ("ok", "length", "refusal")
    columns = {
        "model": model,
        "sample_id": description or _test(result),
        "success": result["success"] if has_answer else None,
        "status": status,
        "cluster": words_at(test, "cluster"),
        "slice": words_at(test, "slice"),
        "harness_version": f"promptfoo {version}" if version else None,
        "prompt_hash": digest_of(at(result, "prompt", "raw")),
        "in_tok": number_at(result, "response", "tokenUsage", "prompt"),
        "out_tok": number_at(result, "response", "tokenUsage", "completion"),
        "cached_tok": number_at(result, "response", "tokenUsage", "completionDetails", "cacheReadInputTokens"),
        # The result's own cost is 0 where it is unknown, the response's is left out.
        "cost_usd": number_at(result, "response", "cost"),
        "latency_ms": None if was_cached else number_at(result, "latencyMs"),
    }
    scores = {"score": result.get("score")} if has_answer else {}
    return Found(number, columns, result, {**scores, **parts_at(result, "namedScores")})


def _status(result: Mapping[str, Any]) -> str:
    response = result.get("response")
    parts = list_at(result, "gradingResult", "componentResults")
    if any(at(part, "metadata", "graderError") is True for part in parts):
        return "grader_error"
    if result.get("failureReason") == ERROR or (result.get("error") and not result.get("gradingResult")):
        return "grader_error" if at(response, "output") is not None else "model_error"
    if at(response, "isRefusal") is True:
        return "refusal"
    return STOPPED.get(words_at(response, "finishReason") or "", "ok")


def _results(data: bytes) -> tuple[str | None, list[dict[str, Any]]]:
    documents = [record for _, record in json_records(data, "")]
    if len(documents) == 1 and "results" in documents[0]:
        whole = documents[0]
        results = at(whole, "results", "results")
        if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
            raise Unclear("has no results.results", "export with `promptfoo eval -o results.json`")
        return words_at(whole, "metadata", "promptfooVersion"), results
    return None, [dict(document) for document in documents]


def _arm(result: Mapping[str, Any]) -> tuple[str, str]:
    provider = result.get("provider")
    name = provider if isinstance(provider, str) else words_at(provider, "label") or words_at(provider, "id")
    return name or "", words_at(result, "promptId") or words_at(result, "promptIdx") or ""


def _test(result: Mapping[str, Any]) -> str:
    """Names what was asked about: a repetition has the same variables, and a place of its own."""
    return digest_of(result.get("vars"))


def _arms(results: list[dict[str, Any]]) -> Mapping[tuple[str, str], str]:
    """A provider that was asked by several prompts is an arm for each."""
    labels: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for result in results:
        provider, prompt = _arm(result)
        labels[provider].setdefault(prompt, words_at(result, "prompt", "label") or prompt)
    return {
        (provider, prompt): provider if len(prompts) == 1 else f"{provider} ({label})"
        for provider, prompts in labels.items()
        for prompt, label in prompts.items()
    }


def _descriptions(results: list[dict[str, Any]]) -> Mapping[str, str]:
    """Digests of variables to the tests' own names, as far as each name stands for one test alone."""
    tests: defaultdict[str, set[str]] = defaultdict(set)
    for result in results:
        name = words_at(result, "testCase", "description")
        if name is not None:
            tests[name].add(_test(result))
    return {digests.pop(): name for name, digests in tests.items() if len(digests) == 1}
