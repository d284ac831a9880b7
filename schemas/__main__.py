"""`python -m schemas json [--check]` and `python -m schemas compile DIR`: the only I/O in this package.

A sidecar that is given a plain rules folder runs `compile` as a child process, and so never imports what reads rules.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from schemas.bundle import encode_bundle
from schemas.load import folder_revision, is_rule_file, load
from schemas.yaml_source import MAX_FILE_BYTES

FOLDER = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 fine, 1 problems or drift, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m schemas", description="JSON Schemas and bundles of rule files.")
    commands = parser.add_subparsers(dest="command", required=True)
    json_command = commands.add_parser("json", help="write schemas/json and schemas/docs/fields.md from the models")
    json_command.add_argument("--check", action="store_true", help="write nothing; name the files that differ")
    compile_command = commands.add_parser("compile", help="print the bundle of a rules folder")
    compile_command.add_argument("folder", type=Path)
    compile_command.add_argument("--today", type=date.fromisoformat, default=None, help="judge as of this day (UTC)")
    arguments = parser.parse_args(argv)
    if arguments.command == "json":
        return _check_json() if arguments.check else _write_json()
    return _compile(arguments.folder, arguments.today or today_utc())


def today_utc() -> date:
    """The one clock of this package, read where a command does not name the day."""
    return datetime.now(UTC).date()  # noqa: TID251


def read_folder(folder: Path) -> dict[str, str]:
    """Every rule file under a folder: repository path to text; bytes that are not UTF-8 are kept for `load` to report.

    Raises:
        NotADirectoryError: there is no such folder.
        OSError: a file cannot be read.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    files: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if is_rule_file(path.relative_to(folder).as_posix()) and path.is_file():
                files[path.relative_to(folder).as_posix()] = _read_text(path)
    return files


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1).decode("utf-8-sig", "surrogateescape")


def _made() -> dict[str, str]:
    """All that is made from the models: path in this package to text."""
    # Imported here: they know the eval files too, whose models a sidecar's child process would build for nothing.
    from schemas.field_page import field_page
    from schemas.json_schema import schema_files

    return {f"json/{name}": text for name, text in schema_files().items()} | {"docs/fields.md": field_page()}


def _write_json() -> int:
    for name, text in _made().items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _check_json() -> int:
    differing = []
    for name, text in _made().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            differing.append(name)
    for name in differing:
        print(f"schemas/{name} differs from the models; run: python -m schemas json", file=sys.stderr)
    return 1 if differing else 0


def _compile(folder: Path, today: date) -> int:
    try:
        files = read_folder(folder)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    loaded = load(files, today=today, revision=folder_revision(files))
    if loaded.bundle is None:
        for problem in loaded.problems:
            sys.stderr.write(msgspec.json.encode(problem).decode() + "\n")
        return 1
    sys.stdout.buffer.write(encode_bundle(loaded.bundle))
    return 0


if __name__ == "__main__":
    gc.disable()  # this process ends soon; looking for rings among many small values takes as long as checking them
    sys.exit(main())
