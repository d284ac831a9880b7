"""A loop that runs a tool until the model has what it needs, with Anthropic's SDK."""

import os
import sys

import anthropic
from anthropic.types import MessageParam, ToolParam, ToolResultBlockParam

client = anthropic.Anthropic(
    base_url=os.environ.get("ANTHROPIC_BASE_URL", "http://localhost:4100"),
    api_key=os.environ.get("ANTHROPIC_API_KEY", "any"),
)
TOOLS: list[ToolParam] = [
    {
        "name": "run_tests",
        "description": "Run the tests of a folder.",
        "input_schema": {
            "type": "object",
            "properties": {"folder": {"type": "string"}},
            "required": ["folder"],
        },
    }
]
MOST_TURNS = 5


def run_tests(folder: str) -> str:
    return f"3 tests passed in {folder or 'the current folder'}"


def main(question: str) -> None:
    messages: list[MessageParam] = [{"role": "user", "content": question}]
    for _ in range(MOST_TURNS):
        answer = client.messages.create(model="internal-coding", max_tokens=1000, messages=messages, tools=TOOLS)
        results: list[ToolResultBlockParam] = []
        for block in answer.content:
            if block.type == "text":
                print(block.text)
            elif block.type == "tool_use":
                result = run_tests(**block.input)
                print(f"[{block.name}] {result}")
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": result})
        if not results:
            return
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    print("no answer within five turns", file=sys.stderr)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Please use the run_tests tool.")
