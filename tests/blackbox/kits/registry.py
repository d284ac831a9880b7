"""Every SDK of these tests by the API it speaks: one row each."""

from collections.abc import Callable
from functools import partial

from tests.blackbox.kits.kit import Kit, Settings
from tests.blackbox.kits.langchain import LangChainKit
from tests.blackbox.kits.official import AGENTS, OfficialKit
from tests.blackbox.kits.pydantic_agent import PydanticKit
from tests.blackbox.kits.vercel import VercelKit

OFFICIAL: dict[str, Callable[[Settings], Kit]] = {name: partial(OfficialKit, name=name) for name in AGENTS}
FRAMEWORKS: dict[str, Callable[[Settings], Kit]] = {
    "langchain-chat": partial(LangChainKit, responses=False),
    "langchain-responses": partial(LangChainKit, responses=True),
    "pydantic-chat": partial(PydanticKit, api="openai-chat"),
    "pydantic-responses": partial(PydanticKit, api="openai"),
    "pydantic-anthropic": partial(PydanticKit, api="anthropic"),
    "vercel-chat": partial(VercelKit, api="chat"),
    "vercel-responses": partial(VercelKit, api="responses"),
    "vercel-anthropic": partial(VercelKit, api="messages"),
}
KITS = OFFICIAL | FRAMEWORKS
