"""An answer as it comes, with Anthropic's SDK; the last usage of the stream carries the cost."""

import os
import sys

import anthropic

client = anthropic.Anthropic(
    base_url=os.environ.get("ANTHROPIC_BASE_URL", "http://localhost:4100"),
    api_key=os.environ.get("ANTHROPIC_API_KEY", "any"),
)


def main(question: str) -> None:
    with client.messages.stream(
        model="internal-coding",
        max_tokens=1000,
        messages=[{"role": "user", "content": question}],
    ) as stream:
        for event in stream:
            if event.type == "text":
                print(event.text, end="", flush=True)
            elif event.type == "message_delta":
                cost = (event.usage.model_extra or {}).get("cost_usd")
                print(f"\n{event.usage.output_tokens} tokens out, ${cost}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "What does a pointsman do?")
