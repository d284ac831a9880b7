"""The process of a `python` grader: loads a team's file, and answers each JSON line with one. Standard library alone.

`python -I python_worker.py FILE FUNCTION MEMORY_MB`; its output is the verdicts, what a grader prints goes nowhere.
"""

import importlib.util
import json
import os
import resource
import sys
from typing import Any


def main() -> None:
    file, function, memory_mb = sys.argv[1:4]
    verdicts = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limit = int(memory_mb) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(**verdict: Any) -> None:
        verdicts.write(json.dumps(verdict) + "\n")
        verdicts.flush()

    try:
        spec = importlib.util.spec_from_file_location("grader", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        grade = getattr(module, function)
    except BaseException as error:
        say(error=f"{file} cannot be used: {type(error).__name__}: {error}")
        return
    say(ready=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            say(value=grade(question["sample"], question["answer"]))
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
