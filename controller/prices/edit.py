"""A price row put into a model's file as text: not a character of what people wrote is touched.

The new row stands before the others: newest first.
"""

from collections.abc import Sequence

import yaml
from pydantic import ValidationError

from controller.prices.rows import block_item, flow_row
from schemas.rules.model import Model
from schemas.rules.price import Price
from schemas.yaml_source import Path, parse_yaml


class CannotEdit(Exception):
    """The file is written in a way that this cannot add a row to; a person can."""


def with_rows(text: str, path: Path, rows: Sequence[Price]) -> str:
    """The text with these rows before those of `prices` or `served_by[n].prices`.

    Args:
        rows: newest first.

    Raises:
        CannotEdit: anchors, a root in braces, or whatever else makes the outcome not what was meant.
    """
    before = _model(text)
    edited = _edited(text, path, rows)
    after = _model(edited)
    if _prices(after, path) != (*rows, *_prices(before, path)) or _without(after, path) != _without(before, path):
        raise CannotEdit("its layout is not one that a row can be added to")
    return edited


def _edited(text: str, path: Path, rows: Sequence[Price]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    holder, found = _find(root, path[:-1]), _find(root, path)
    if isinstance(found, yaml.SequenceNode):
        at, new = _into_list(text, found, rows)
    elif not isinstance(holder, yaml.MappingNode) or not holder.value:
        raise CannotEdit("there is nothing to add prices to")
    elif holder.flow_style:
        # After the last value, so that a comma at the end stays where it is.
        margin = "\n" + " " * (holder.start_mark.column + 2)
        at, new = holder.value[-1][1].end_mark.index, f", prices: [{margin}{f',{margin}'.join(map(flow_row, rows))}]"
    else:
        at, new = _new_key(text, holder, rows)
    return text[:at] + new.replace("\n", newline) + text[at:]


def _into_list(text: str, found: yaml.SequenceNode, rows: Sequence[Price]) -> tuple[int, str]:
    if not found.flow_style:
        column = found.start_mark.column
        start = found.start_mark.index - column
        if text[start : start + column].strip():
            raise CannotEdit("its list of prices begins inside a line")
        return start, "".join(block_item(row, column) for row in rows)
    if not found.value:
        return found.start_mark.index + 1, ", ".join(map(flow_row, rows))
    first = found.value[0].start_mark
    return first.index, "".join(f"{flow_row(row)},\n{' ' * first.column}" for row in rows)


def _new_key(text: str, holder: yaml.MappingNode, rows: Sequence[Price]) -> tuple[int, str]:
    """A key `prices` after the last one of a mapping in block style."""
    column = holder.value[0][0].start_mark.column
    margin = " " * column
    new = f"{margin}prices:\n" + "".join(block_item(row, column + 2) for row in rows)
    end = _end_of_content(text, holder)
    line_end = text.find("\n", end)
    return (line_end + 1, new) if line_end >= 0 else (len(text), f"\n{new}")


def _end_of_content(text: str, node: yaml.Node) -> int:
    """A block node ends where the next thing begins: the end of its last scalar is meant."""
    while not isinstance(node, yaml.ScalarNode) and not getattr(node, "flow_style", False) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    return len(text[:end].rstrip()) if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else end


def _find(node: yaml.Node | None, path: Path) -> yaml.Node | None:
    for step in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
        else:
            return None
    return node


def _model(text: str) -> Model:
    document, problems = parse_yaml("", text)
    if document is None or problems:
        raise CannotEdit(str(problems[0].message))
    try:
        return Model.model_validate(document.data)
    except ValidationError as error:
        raise CannotEdit("it would not be a model any more") from error


def _prices(model: Model, path: Path) -> tuple[Price, ...]:
    match path:
        case ("served_by", int() as door, "prices"):
            return model.served_by[door].prices or ()
        case _:
            return model.prices


def _without(model: Model, path: Path) -> Model:
    match path:
        case ("served_by", int() as door, "prices"):
            doors = list(model.served_by)
            doors[door] = doors[door].model_copy(update={"prices": None})
            return model.model_copy(update={"served_by": tuple(doors)})
        case _:
            return model.model_copy(update={"prices": ()})
