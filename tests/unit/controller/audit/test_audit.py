"""Whole audits: three repositories of different kinds, rules, a ledger and invoices, by the command."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.audit.verdicts import by_use
from controller.cli import main
from controller.concentration import hhi, level_of

SCRIPT = {
    "requirements.txt": "openai\n",
    "summarise.py": 'import openai\n\nopenai.OpenAI().responses.create(model="gpt-5", input="…")\n',
    "batch/again.py": 'from openai import OpenAI\n\nMODEL = "gpt-5-2026-08-07"\n',
    "tests/test_summarise.py": 'MODELS = ["claude-opus-4-7", "gemini-3"]\n',
}
MONOREPO = {
    "web/package.json": "{}",
    "web/src/chat.ts": 'import OpenAI from "openai";\nimport Anthropic from "@anthropic-ai/sdk";\n'
    'export const small = "gpt-5-mini", big = "claude-opus-4-7";\n',
    "web/src/chat.spec.ts": 'const model = "gemini-3";\n',
    "web/node_modules/x/index.js": 'const model = "grok-4";\n',
    "ranker/go.mod": "module ranker\n",
    "ranker/main.go": 'package main\n\nimport "github.com/anthropics/anthropic-sdk-go"\n\n'
    'const model = "claude-haiku-4-5"\n',
    "agents/pyproject.toml": "",
    "agents/app.py": "from langchain_openai import ChatOpenAI\nfrom langchain_anthropic import ChatAnthropic\n\n"
    'answer = ChatOpenAI(model="gpt-5").with_fallbacks([ChatAnthropic(model="claude-sonnet-4-6")])\n',
    "prices/prices.json": '{"gpt-4o": 2.5, "gemini-3": 1.25}\n',
}
COMPANY = {
    "pom.xml": "<project/>",
    "src/main/java/Support.java": "import com.openai.client.OpenAIClient;\n\n"
    'class Support { String model = "customer-support"; }\n',
    "deploy/agent.yaml": "env:\n  - {name: OPENAI_BASE_URL, value: 'http://localhost:4100/v1'}\n",
    "rules/pointsman.yaml": "schema: 1\n",
    "rules/providers/openai.yaml": "provider: openai\ndialect: openai\nbase_url: https://api.openai.com/v1\n"
    "auth: {api_key: {env: OPENAI_API_KEY}}\n",
    "rules/models/gpt-5.yaml": "model: gpt-5\nvendor: openai\ncontext_window: 400000\nmax_output_tokens: 128000\n"
    "served_by: [{provider: openai, name: gpt-5}]\nprices: [{from: 2025-08-07, input: 1.25, output: 10}]\n",
    "rules/models/other.yaml": "model: other\nvendor: elsewhere\ncontext_window: 400000\nmax_output_tokens: 128000\n"
    "served_by: [{provider: openai, name: other}]\nprices: [{from: 2025-08-07, input: 1, output: 1}]\n",
    "rules/use-cases/customer-support/use-case.yaml": "use_case: customer-support\nowner: support\nprimary: gpt-5\n"
    "fallbacks: [other]\n",
    "rules/use-cases/search/use-case.yaml": "use_case: search\nowner: support\nprimary: gpt-5\n",
}
ROWS: list[dict[str, Any]] = [
    {"use_case": "customer-support", "model": "gpt-5", "vendor": "openai", "provider": "openai", "reason": "primary",
     "day": "2026-11-02", "requests": 90, "cost_usd": "9.00"},
    {"use_case": "customer-support", "model": "other", "vendor": "elsewhere", "provider": "openai", "reason": "failed",
     "day": "2026-11-02", "requests": 5, "cost_usd": "0.90"},
    {"use_case": "customer-support", "model": "gpt-5", "vendor": "openai", "provider": "openai", "reason": "pinned",
     "day": "2026-12-01", "requests": 5, "cost_usd": "0.10"},
]  # fmt: skip


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def audited(capsys: pytest.CaptureFixture[str], words: Sequence[object]) -> dict[str, Any]:
    assert main(["audit", *map(str, words), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def verdicts(found: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in found["use_cases"]}


def test_a_script_with_one_model_by_two_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audited(capsys, [lay(tmp_path / "script", SCRIPT)])
    assert verdicts(found) == {"script": "single-model"}
    assert found["company"] == {"verdict": "single-model"}
    assert found["services"][0]["through"] == "none"
    assert [one["file"] for one in found["services"][0]["sightings"] if one["kind"] == "model"] == [
        "batch/again.py",
        "summarise.py",
    ]


def test_a_monorepo_of_services_each_its_own_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audited(capsys, [lay(tmp_path / "mono", MONOREPO)])
    assert verdicts(found) == {
        "mono/agents": "multi-model-with-routing",
        "mono/ranker": "single-model",
        "mono/web": "multi-model-without-routing",
    }
    assert found["company"] == {"verdict": "multi-model-without-routing"}
    by_services = next(one for one in found["concentration"] if one["by"] == "services")
    assert by_services["shares"] == pytest.approx({"anthropic": 2 / 3, "openai": 1 / 3})
    assert by_services["hhi"] == pytest.approx(5 / 9)
    assert by_services["level"] == "critical"


def test_services_behind_a_sidecar_are_judged_by_the_rules_they_ask_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = audited(capsys, [lay(tmp_path / "company", COMPANY)])
    assert verdicts(found) == {"customer-support": "multi-model-with-routing", "search": "single-model"}
    support = found["use_cases"][0]
    assert (support["basis"], support["services"]) == ("rules", ["company"])
    assert [one["through"] for one in found["services"]] == ["sidecar"]


def test_the_ledger_says_what_was_really_used_and_the_invoice_what_passed_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usage, invoice = tmp_path / "usage.json", tmp_path / "openai.csv"
    usage.write_text(json.dumps({"rows": ROWS}), encoding="utf-8")
    invoice.write_text("date,cost\n2026-11-01,10\n2026-11-30,2.50\n", encoding="utf-8")
    company = lay(tmp_path / "company", COMPANY)
    found = audited(capsys, [company, "--usage", usage, "--invoice", f"openai={invoice}"])
    support, search = found["use_cases"]
    assert (support["verdict"], support["basis"]) == ("multi-model-with-routing", "ledger")
    assert (support["requests"], support["cost_usd"]) == (100, "10.00")
    assert (search["verdict"], search["requests"]) == ("single-model", 0)
    assert found["outside"] == [
        # The call of December is on no line of November's invoice.
        {"payee": "openai", "file": str(invoice), "invoiced_usd": "12.50", "booked_usd": "9.90", "outside_usd": "2.60"}
    ]
    shares = {one["by"]: one["shares"] for one in found["concentration"]}
    assert shares["spend"] == pytest.approx({"openai": 0.91, "elsewhere": 0.09})
    assert shares["requests"] == pytest.approx({"openai": 0.95, "elsewhere": 0.05})


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_people_read_what_passes_by_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert main(["audit", str(lay(tmp_path / "script", SCRIPT)), "--format", form]) == 0
    text = capsys.readouterr().out
    assert "single model" in text
    assert "script calls openai without a gateway: batch/again.py:1 (openai.OpenAI), summarise.py:1 (openai)" in text


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 2, "name a repository"),
        (["nowhere"], 2, "nowhere is not a folder"),
        (["--invoice", "costs.csv"], 1, "write it as PROVIDER=FILE"),
        (["--usage", "nowhere.json"], 1, "cannot be read as JSON"),
        (["--invoice", "openai=nowhere.csv"], 1, "cannot be read as CSV"),
    ],
)
def test_what_cannot_be_read_is_said(
    words: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *words]) == status
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shares", "routed", "eligible", "verdict"),
    [
        ({}, None, None, "unused"),
        ({"a": 1}, None, None, "single-model"),
        ({"a": 1}, 1, 2, "multi-model-with-routing"),
        ({"a": "0.96", "b": "0.04"}, 1, None, "single-model"),
        ({"a": "0.95", "b": "0.05"}, 1, None, "multi-model-with-routing"),
        ({"a": "0.5", "b": "0.5"}, "0.79", 2, "multi-model-without-routing"),
        ({"a": "0.5", "b": "0.5"}, "0.80", 2, "multi-model-with-routing"),
        ({"a": "0.5", "b": "0.5"}, 1, 1, "multi-model-without-routing"),
    ],
)
def test_the_verdict_over_what_was_called(
    shares: Mapping[str, Any], routed: Any, eligible: int | None, verdict: str
) -> None:
    parts = {name: Decimal(share) for name, share in shares.items()}
    assert by_use(parts, routed=None if routed is None else Decimal(routed), eligible=eligible) == verdict


@pytest.mark.parametrize(
    ("shares", "index", "level"),
    [
        (("0.6", "0.3", "0.1"), "0.46", "concentrated"),
        (("0.5", "0.5"), "0.50", "critical"),
        (("0.2",) * 5, "0.20", "spread"),
    ],
)
def test_concentration(shares: tuple[str, ...], index: str, level: str) -> None:
    found = hhi(map(Decimal, shares))
    assert found == Decimal(index)
    assert level_of(found) == level
