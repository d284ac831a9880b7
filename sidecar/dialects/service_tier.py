"""At which of a provider's service tiers an answer was served: what bills by another price than the standard tier.

OpenAI and who speaks its dialects (openai SDK, `ChatCompletion.service_tier`), Anthropic (anthropic SDK,
`Usage.service_tier`), Bedrock (botocore, `ServiceTierType`), Vertex AI (google-genai, `TrafficType`).
"""

_TIERS = {
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",  # OpenAI bills both words alike
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}


def tier_of(word: object) -> str:
    """Our word, or nothing for the standard tier: by its own name, prepaid capacity, or a word that names no tier."""
    return _TIERS.get(word, "") if isinstance(word, str) else ""
