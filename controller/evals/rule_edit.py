"""A rule file's text with one choice changed: comments and layout stay, and nothing else is said differently. Pure."""

from copy import deepcopy
from typing import Any, Final, Literal

import yaml

from schemas.yaml_source import parse_yaml

Place = Literal["primary", "canary", "fallback", "quality", "cost"]
LISTS: Final = {"quality": ("quality_bar", "then"), "cost": ("cost_ceiling", "then")}
BY_HAND: Final = "the file is written in a way that cannot be edited for sure; change it by hand"


class CannotEdit(Exception):
    """`str(error)` says what people have to do themselves."""


def with_choice(text: str, place: Place, model: str, *, percent: str = "5") -> str:
    """The file with a model at a place. What takes the primary's place puts the old one first among the fallbacks,
    and leaves those and the ways out itself.

    Raises:
        CannotEdit: the place does not exist, the model stands there, or the text is written in a way that cannot be
            edited for sure.
    """
    document, _ = parse_yaml("", text)
    if document is None or not isinstance(document.data, dict):
        raise CannotEdit("the file cannot be read")
    data: dict[str, Any] = deepcopy(document.data)
    match place:
        case "primary":
            edited, wanted = _as_primary(text, data, model)
        case "canary":
            share = {"model": model, "percent": percent}
            if not (data.get("quality_bar") or {}).get("checks"):  # what a canary is judged by unless it says otherwise
                share["signal"] = "outcome"
            edited = _set(text, "canary", f"{{{', '.join(f'{key}: {value}' for key, value in share.items())}}}")
            wanted = data | {"canary": share}
        case "fallback":
            chain = data.get("fallbacks") or []
            if model in (data.get("primary"), *chain):
                raise CannotEdit(f"{model} is in the chain already")
            edited = _append(text, ("fallbacks",), model) if chain else _set(text, "fallbacks", f"[{model}]")
            wanted = data | {"fallbacks": [*chain, model]}
        case "quality" | "cost":
            edited, wanted = _in_way_out(text, data, LISTS[place], model)
    again, problems = parse_yaml("", edited)
    if again is None or problems or _plain(again.data) != _plain(wanted):
        raise CannotEdit(BY_HAND)
    return edited


def _as_primary(text: str, data: dict[str, Any], model: str) -> tuple[str, dict[str, Any]]:
    old, chain = data["primary"], list(data.get("fallbacks") or [])
    if old == model:
        raise CannotEdit(f"{model} is the primary already")
    text = _set(text, "primary", model)
    if model in chain:
        # It gives its place to the one whose place it takes; the order of the others stays.
        number = chain.index(model)
        text = _without_item(text, ("fallbacks",), number)
        chain.pop(number)
    text = _prepend(text, ("fallbacks",), old) if chain else _set(text, "fallbacks", f"[{old}]")
    wanted = data | {"primary": model, "fallbacks": [old, *chain]}
    for key, then in LISTS.values():
        part = data.get(key) or {}
        models = part.get(then)
        if isinstance(models, list) and model in models and len(models) > 1:  # no way out leads to where one is
            text = _without_item(text, (key, then), models.index(model))
            wanted[key] = part | {then: [one for one in models if one != model]}
    canary = data.get("canary")
    if isinstance(canary, dict) and canary.get("model") == model:
        text = _without_key(text, "canary")
        wanted.pop("canary")
    return text, wanted


def _in_way_out(text: str, data: dict[str, Any], path: tuple[str, str], model: str) -> tuple[str, dict[str, Any]]:
    key, then = path
    part = data.get(key)
    if not isinstance(part, dict):
        raise CannotEdit(f"there is no {key} yet; write one with then: [{model}]")
    models = part.get(then)
    if not isinstance(models, list):
        raise CannotEdit(f"{key}.then names no models; write then: [{model}]")
    if model in models:
        raise CannotEdit(f"{model} is in {key}.then already")
    return _append(text, path, model), data | {key: part | {then: [*models, model]}}


def _top(text: str) -> yaml.MappingNode:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:  # an alias of what the change took away
        raise CannotEdit(BY_HAND) from error
    if not isinstance(node, yaml.MappingNode):
        raise CannotEdit("the file is no mapping")
    return node


def _entry(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((one, other) for one, other in pairs if one.value == key), None)


def _set(text: str, key: str, value: str) -> str:
    """The top-level key's value, or a new line with it below the chain."""
    top = _top(text)
    entry = _entry(top, key)
    if entry is not None:
        _, old = entry
        start, end = old.start_mark.index, _end(text, old)
        gap = " " if text[start - 1] not in " \n" else ""
        if "\n" in text[entry[0].end_mark.index : start]:  # a block below its key becomes a value beside it
            start, gap = entry[0].end_mark.index + 1, " "
        return text[:start] + gap + value + text[end:]
    before = _entry(top, "fallbacks") or _entry(top, "primary")
    if before is None or top.flow_style:
        raise CannotEdit(f"there is no place for {key}")
    at = _line_end(text, _end(text, before[1]))
    return f"{text[:at]}{'' if text[:at].endswith(chr(10)) else chr(10)}{key}: {value}\n{text[at:]}"


def _without_key(text: str, key: str) -> str:
    entry = _entry(_top(text), key)
    assert entry is not None  # the caller has read it
    start = text.rfind("\n", 0, entry[0].start_mark.index) + 1
    return text[:start] + text[_line_end(text, _end(text, entry[1])) :]


def _sequence(text: str, path: tuple[str, ...]) -> yaml.SequenceNode:
    node: yaml.Node = _top(text)
    for key in path:
        entry = _entry(node, key)
        if entry is None:
            raise CannotEdit(f"there is no {key}")
        node = entry[1]
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise CannotEdit(f"{'.'.join(path)} is no list")
    return node


def _append(text: str, path: tuple[str, ...], model: str) -> str:
    last = (node := _sequence(text, path)).value[-1]
    end = _end(text, last)
    if node.flow_style:
        return f"{text[:end]}, {model}{text[end:]}"
    at = _line_end(text, end)
    line = f"{_dash(text, last)}{model}\n"
    return f"{text[:at]}{line}{text[at:]}" if text[:at].endswith("\n") else f"{text[:at]}\n{line}"


def _prepend(text: str, path: tuple[str, ...], model: str) -> str:
    first = (node := _sequence(text, path)).value[0]
    start = first.start_mark.index
    if node.flow_style:
        return f"{text[:start]}{model}, {text[start:]}"
    at = text.rfind("\n", 0, start) + 1
    return f"{text[:at]}{_dash(text, first)}{model}\n{text[at:]}"


def _without_item(text: str, path: tuple[str, ...], number: int) -> str:
    node = _sequence(text, path)
    item = node.value[number]
    if len(node.value) == 1:
        return _set(text, path[0], "[]")
    if node.flow_style:
        if number:
            return text[: _end(text, node.value[number - 1])] + text[_end(text, item) :]
        return text[: item.start_mark.index] + text[node.value[1].start_mark.index :]
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    return text[:start] + text[_line_end(text, _end(text, item)) :]


def _dash(text: str, item: yaml.Node) -> str:
    """The item's own beginning: its indent and its dash."""
    start = item.start_mark.index
    return text[text.rfind("\n", 0, start) + 1 : start]


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's last character stands, without the blank lines and comments that a block's mark runs over."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _plain(value: object) -> object:
    """Numbers by what they say, not by how."""
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case bool() | None:
            return value
        case _:
            return str(value)
