"""One target under atheris: `python -m tests.fuzz.one TARGET FOLDER [libFuzzer's flags]`."""

import sys

import atheris

with atheris.instrument_imports(include=["sidecar", "schemas"]):
    from tests.fuzz.targets import TARGETS_BY_NAME

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS_BY_NAME[name])
    atheris.Fuzz()
