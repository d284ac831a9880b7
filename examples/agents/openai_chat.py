"""One question through a use case, with OpenAI's SDK: the answer, the model that gave it, and what it cost."""

import os
import sys

import openai

client = openai.OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:4100/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "any"),
)


def main(question: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="customer-support",
        messages=[{"role": "user", "content": question}],
    )
    print(raw.parse().choices[0].message.content)
    print(f"answered by {raw.headers['x-pointsman-model']} for ${raw.headers['x-pointsman-cost-usd']}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Where is my parcel?")
