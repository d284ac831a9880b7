"""Every dialect that this sidecar speaks, by its name in the rules: with agents, and with targets."""

from collections.abc import Mapping

from schemas.bundle import DialectName
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import ChatDialect, ChatTarget
from sidecar.dialects.bedrock import BEDROCK
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.dialects.openai_responses import OPENAI_RESPONSES

DIALECTS: Mapping[DialectName, ChatDialect] = {
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "openai": OPENAI_CHAT,
    "openai-responses": OPENAI_RESPONSES,
}
"""Agents may call in each of these, and each may be a target's."""

TARGETS: Mapping[DialectName, ChatTarget] = {**DIALECTS, "bedrock": BEDROCK}
