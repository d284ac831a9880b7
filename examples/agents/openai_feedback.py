"""One question, and what its user thinks of the answer: the sidecar hands it on to the ledger, beside the call.

With curl: curl localhost:4100/v1/feedback --json '{"request_id": "pm-…", "score": true}'
"""

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
    call = raw.headers["x-pointsman-request-id"]
    # From 0 to 1, or true and false; `kind` is user, judge or business. No text: the ledger keeps none.
    said = client.post("/feedback", cast_to=dict[str, object], body={"request_id": call, "score": True, "kind": "user"})
    print(f"{said['call']} scored {said['score']}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Where is my parcel?")
