"""One question through a use case, with Anthropic's SDK: the answer, the model that gave it, and what it cost."""

import os
import sys

import anthropic

client = anthropic.Anthropic(
    base_url=os.environ.get("ANTHROPIC_BASE_URL", "http://localhost:4100"),
    api_key=os.environ.get("ANTHROPIC_API_KEY", "any"),
)


def main(question: str) -> None:
    raw = client.messages.with_raw_response.create(
        model="internal-coding",
        max_tokens=1000,
        messages=[{"role": "user", "content": question}],
    )
    print("".join(block.text for block in raw.parse().content if block.type == "text"))
    print(f"answered by {raw.headers['x-pointsman-model']} for ${raw.headers['x-pointsman-cost-usd']}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "What does a pointsman do?")
