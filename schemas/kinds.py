"""Files that people write, and that decide what runs: kind → model."""

from collections.abc import Mapping

from pydantic import BaseModel

from schemas.rules.model import Model
from schemas.rules.platform import Platform
from schemas.rules.provider import Provider
from schemas.rules.rule_tests import RuleTests
from schemas.rules.use_case import UseCase

RULE_FILES: Mapping[str, type[BaseModel]] = {
    "pointsman": Platform,
    "provider": Provider,
    "model": Model,
    "use-case": UseCase,
    "rule-tests": RuleTests,
}
