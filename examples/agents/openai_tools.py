"""A loop that runs a tool until the model has what it needs, with OpenAI's SDK."""

import json
import os
import sys
from typing import Any

import openai
from openai.types.chat import ChatCompletionToolParam

client = openai.OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:4100/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
)
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "parcel_status",
            "description": "Where a parcel is.",
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "string", "description": "The parcel's number."}},
                "required": ["number"],
            },
        },
    }
]
MOST_TURNS = 5


def parcel_status(number: str) -> str:
    return f"parcel {number or 'without a number'} is at the depot, out for delivery tomorrow"


def main(question: str) -> None:
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(MOST_TURNS):
        answer = client.chat.completions.create(model="customer-support", messages=messages, tools=TOOLS)
        message = answer.choices[0].message
        if not message.tool_calls:
            print(message.content)
            return
        messages.append(message)
        for call in message.tool_calls:
            if call.type == "function":
                result = parcel_status(**json.loads(call.function.arguments))
                print(f"[{call.function.name}] {result}")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    print("no answer within five turns", file=sys.stderr)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Please ask the parcel_status tool where my parcel is.")
