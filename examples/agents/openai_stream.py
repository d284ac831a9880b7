"""An answer as it comes, with OpenAI's SDK; the last chunk carries usage and cost when the request asks for usage."""

import os
import sys

import openai

client = openai.OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:4100/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
)


def main(question: str) -> None:
    stream = client.chat.completions.create(
        model="customer-support",
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage is not None:
            cost = (chunk.usage.model_extra or {}).get("cost_usd")
            print(f"\n{chunk.usage.total_tokens} tokens for ${cost}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Where is my parcel?")
