"""What a file says of models, by language; comments and docstrings say nothing."""

import pytest

from controller.audit.sightings import is_telling, sightings_in
from controller.audit.signs import known_signs
from controller.audit.source import SourceFile, language_of

PYTHON = '''"""Uses gpt-4o no longer."""
from google import genai
import anthropic  # and not openai

MODEL = "claude-sonnet-4-6"  # was "gpt-4o"
client = anthropic.Anthropic(base_url="https://api.anthropic.com")
chain = model.with_fallbacks([other])
'''
TYPESCRIPT = """// import OpenAI from "openai"
import { createOpenAI } from "@ai-sdk/openai";
const { Anthropic } = require('@anthropic-ai/sdk');
/* model: "gpt-4o" */
const url = "https://api.openai.com/v1"; // "gemini-3"
const answer = await generateText({ model: openai(`gpt-5`) });
"""
GO = """package main

import (
	"fmt"
	"github.com/openai/openai-go/v3"
)

const model = "gpt-5-mini" // not "o3"
"""
JAVA = """import com.anthropic.client.AnthropicClient;
class Chat { /* gpt-4o */ String model = "claude-haiku-4-5"; }
"""
YAML = """env:
  - name: OPENAI_API_KEY   # not ANTHROPIC_API_KEY
    valueFrom: {secretKeyRef: {name: keys, key: openai}}
  - name: MODEL
    value: gpt-5
router_settings: {}
"""
ENV = "OPENAI_BASE_URL=http://localhost:4100/v1\nMODEL=customer-support\n# OTHER=gpt-4o\n"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "app.py", PYTHON,
            [(2, "sdk", "google.genai"), (3, "sdk", "anthropic"), (5, "model", "claude-sonnet-4-6"),
             (6, "url", "api.anthropic.com"), (7, "routing", "with_fallbacks")],
        ),
        (
            "app.ts", TYPESCRIPT,
            [(2, "sdk", "@ai-sdk/openai"), (3, "sdk", "@anthropic-ai/sdk"), (5, "url", "api.openai.com"),
             (6, "model", "gpt-5")],
        ),
        ("main.go", GO, [(5, "sdk", "github.com/openai/openai-go/v3"), (8, "model", "gpt-5-mini")]),
        ("Chat.java", JAVA, [(1, "sdk", "com.anthropic.client.AnthropicClient"), (2, "model", "claude-haiku-4-5")]),
        ("deploy.yaml", YAML, [(2, "key", "OPENAI_API_KEY"), (5, "model", "gpt-5"), (6, "routing", "router_settings")]),
        (".env.production", ENV, [(1, "sidecar", "localhost"), (2, "use_case", "customer-support")]),
    ],
)  # fmt: skip
def test_what_a_file_says(path: str, text: str, expected: list[tuple[int, str, str]]) -> None:
    language = language_of(path)
    assert language is not None
    found = sightings_in(SourceFile(path, language, text), known_signs(), frozenset({"customer-support"}))
    assert [(one.line, one.sign.kind, one.text) for one in found] == expected


def test_python_that_does_not_parse_is_still_read() -> None:
    text = 'print "old"\nMODEL = "gpt-5"\n'
    found = sightings_in(SourceFile("old.py", "python", text), known_signs())
    assert [(one.line, one.text) for one in found] == [(2, "gpt-5")]


def test_a_keys_value_is_never_kept() -> None:
    source = SourceFile(".env", "data", "OPENAI_API_KEY=sk-proj-secret\n")
    assert "secret" not in str(sightings_in(source, known_signs()))


def test_no_listed_name_is_put_aside_unread() -> None:
    signs = known_signs()
    packages = [path for listed in signs.packages.values() for path in listed]
    for name in (*packages, *signs.hosts, *signs.keys):
        assert is_telling(name), f"{name} would never be looked for"
