"""Every dialect that this sidecar speaks, by its name in the rules."""

from collections.abc import Mapping

from schemas.bundle import DialectName
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import ChatDialect
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.openai_chat import OPENAI_CHAT

DIALECTS: Mapping[DialectName, ChatDialect] = {"anthropic": ANTHROPIC, "gemini": GEMINI, "openai": OPENAI_CHAT}
