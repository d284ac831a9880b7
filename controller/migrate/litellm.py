"""A LiteLLM proxy's `config.yaml` to rule files. https://docs.litellm.ai/docs/proxy/configs

Each `model_name` becomes a use case that answers to the same name, so that agents change their base URL and nothing
else. Its deployments become models and the providers that serve them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from glob import escape
from typing import Any, Final

from controller.migrate.catalogue import Catalogue
from controller.migrate.chains import IN_ORDER, REVIEW_AFTER, as_chain
from controller.migrate.deployments import Deployment, Reading, as_number
from controller.migrate.litellm_keys import OTHER, SETTINGS, TOP
from controller.migrate.notes import Converted, NotAConfig, Notebook, is_done
from controller.migrate.written import as_yaml
from controller.prices.known import PriceList
from schemas.yaml_source import Path, parse_yaml

SECTIONS: Final = ("litellm_settings", "router_settings", "general_settings")
FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
READ: Final = frozenset(
    {*FALLBACKS, "default_fallbacks", "model_group_alias", "routing_strategy", "num_retries", "timeout",
     "request_timeout", "stream_timeout"}
)  # fmt: skip
LONGEST_SECONDS: Final = 86_400


def convert(
    file: str, text: str, *, owner: str, today: date, environment: Mapping[str, str], prices: PriceList | None
) -> Converted:
    """
    Args:
        owner: the team that owns the use cases.
        environment: variables that may name URLs, regions and projects; never read for keys.
        prices: None: prices are taken from the configuration alone.

    Raises:
        NotAConfig: it cannot be read, or holds no deployment that can be converted.
    """
    document, problems = parse_yaml(file, text)
    if document is None:
        raise NotAConfig("\n".join(map(str, problems)))
    config = document.data
    if not isinstance(config, dict) or not isinstance(config.get("model_list"), list):
        raise NotAConfig(f"{file}:1  no LiteLLM configuration: model_list, a list of deployments, is not there")
    notebook = Notebook(document)
    reading = Reading(notebook, {**_variables(config), **environment}, _credentials(config))
    rows = [reading.deployment(("model_list", index), row) for index, row in enumerate(config["model_list"])]
    deployments = [deployment for deployment in rows if deployment is not None]
    if not deployments:
        notes = "".join(f"\n{file}:{note.line}  {note.key}  {note.says}" for note in notebook.notes())
        raise NotAConfig(f"{file}: none of the {len(rows)} deployments of model_list can be converted{notes}")
    groups: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(deployment.group, []).append(deployment)
    settings = Settings(notebook, config, groups)
    catalogue = Catalogue(notebook, prices, today)
    arms = {group: _arms(settings, catalogue, members) for group, members in groups.items()}
    files = {"pointsman.yaml": as_yaml({"schema": 1, **settings.defaults()}), **catalogue.files()}
    for group, name in _names(catalogue, groups).items():
        use_case = _use_case(settings, name, group, groups[group], arms, owner, today)
        files[f"use-cases/{name}/use-case.yaml"] = as_yaml(use_case)
    settings.say_what_is_left()
    return Converted(files, notebook.notes())


@dataclass(frozen=True, slots=True)
class Arm:
    """A model of a group, and its share of the group's calls."""

    model: str
    weight: Decimal
    embeds: bool
    ids: tuple[str, ...]
    """`model_info.id` of its deployments, by which a fallback may name it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The three sections of settings, read as one: what one says twice, `router_settings` says last."""

    notebook: Notebook
    config: Mapping[str, Any]
    groups: Collection[str]
    """Names of groups: an alias of the same name would be one word for two things."""

    def get(self, key: str) -> tuple[Path, Any]:
        for name in ("router_settings", "litellm_settings", "general_settings"):
            section = self.config.get(name)
            if isinstance(section, dict) and section.get(key) is not None:
                return (name, key), section[key]
        return (), None

    def defaults(self) -> dict[str, Any]:
        timeouts: dict[str, str] = {}
        for mine, keys in (("deadline", ("timeout", "request_timeout")), ("first_token", ("stream_timeout",))):
            path, value = next((found for key in keys if (found := self.get(key))[0]), ((), None))
            if path and (written := seconds(value)):
                timeouts[mine] = written
            elif path:
                self.notebook.add(path, "not carried over: expected seconds, more than 0 and at most a day")
        defaults: dict[str, Any] = {"timeouts": timeouts} if timeouts else {}
        path, retries = self.get("num_retries")
        if path and as_number(retries) == 0:
            defaults["retry"] = {"same_target": 0}
        elif path:
            says = (
                "said otherwise: a target is tried again once at most, then the next one is (retry.max_attempts in all)"
            )
            self.notebook.add(path, says, needs_you=False)
        return {"defaults": defaults} if defaults else {}

    def fallbacks(self, key: str, group: str) -> list[tuple[Path, str]]:
        """The groups that step in for one, in order."""
        path, rows = self.get(key)
        found: list[tuple[Path, str]] = []
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            for source, targets in row.items() if isinstance(row, dict) else ():
                if source in (group, "*"):
                    at: Path = (*path, index, source)
                    found += [((*at, place), name) for place, name in enumerate(_texts(targets))]
        return found

    def default_fallbacks(self) -> list[tuple[Path, str]]:
        path, names = self.get("default_fallbacks")
        return [((*path, place), name) for place, name in enumerate(_texts(names))]

    def aliases(self, group: str) -> list[str]:
        _, aliases = self.get("model_group_alias")
        items = aliases.items() if isinstance(aliases, dict) else ()
        named = [alias for alias, to in items if (to.get("model") if isinstance(to, dict) else to) == group]
        return [alias for alias in named if alias not in self.groups]

    def say_what_is_left(self) -> None:
        for key in self.config:
            if key not in (*SECTIONS, "model_list", "credential_list"):
                self._say((key,), TOP.get(key, OTHER))
        for name in SECTIONS:
            section = self.config.get(name)
            if section is not None and not isinstance(section, dict):
                self.notebook.add((name,), "expected a mapping")
            for key in section if isinstance(section, dict) else ():
                if key not in READ:
                    self._say((name, key), SETTINGS.get(key, OTHER))
        for key in FALLBACKS:
            path, rows = self.get(key)
            if path and not isinstance(rows, list):
                self.notebook.add(path, "not carried over: expected a list such as [{group: [another]}]")
            for index, row in enumerate(rows if isinstance(rows, list) else []):
                for source in row if isinstance(row, dict) else ():
                    if source != "*" and source not in self.groups:
                        self.notebook.add((*path, index, source), "no group that was converted has this name")
        path, aliases = self.get("model_group_alias")
        for alias, to in aliases.items() if isinstance(aliases, dict) else ():
            if alias in self.groups:
                self.notebook.add((*path, alias), "not carried over: a model_name of model_list is called the same")
            elif (to.get("model") if isinstance(to, dict) else to) not in self.groups:
                self.notebook.add((*path, alias), "no group that was converted has this name")
        path, strategy = self.get("routing_strategy")
        if path and strategy != "simple-shuffle":
            says = "said otherwise: models share calls by weight (split); what is slow, throttled or down gives way"
            self.notebook.add(path, says)

    def _say(self, path: Path, says: str) -> None:
        self.notebook.add(path, says, needs_you=not is_done(says))


def _names(catalogue: Catalogue, groups: Collection[str]) -> dict[str, str]:
    """Group → use case. A group whose name can be a use case's own keeps it."""
    taken = {group for group in groups if catalogue.free_name(group, set()) == group}
    return {group: group if group in taken else catalogue.free_name(group, taken) for group in groups}


def _arms(settings: Settings, catalogue: Catalogue, members: Sequence[Deployment]) -> tuple[Arm, ...]:
    """The models of a group, the one with the most calls first; those of a later `order` come after all others."""
    by_identity: dict[str, list[Deployment]] = {}
    for deployment in members:
        by_identity.setdefault(deployment.identity, []).append(deployment)
    weights = _weights(members)
    arms = []
    for identity, deployments in by_identity.items():
        ordered = sorted(deployments, key=lambda one: (_order(one), -weights[one.path]))
        if len(ordered) > 1:
            settings.notebook.add(ordered[0].path, IN_ORDER, needs_you=False)
        ids = tuple(str(one.info["id"]) for one in ordered if "id" in one.info)
        weight = sum((weights[one.path] for one in ordered), Decimal())
        arms.append(Arm(catalogue.model(identity, ordered), weight, _embeds(ordered), ids))
    return tuple(sorted(arms, key=lambda arm: -arm.weight))


def _embeds(deployments: Sequence[Deployment]) -> bool:
    return any(one.info.get("mode") == "embedding" for one in deployments)


def _weights(members: Sequence[Deployment]) -> Mapping[Path, Decimal]:
    """As LiteLLM's simple-shuffle weighs: by weight, else rpm, else tpm, whichever the first deployment says."""
    first = min(map(_order, members))
    active = [one for one in members if _order(one) == first]
    key = next((key for key in ("weight", "rpm", "tpm") if active[0].number(key) is not None), None)
    said = {one.path: (one.number(key) or Decimal()) if key else Decimal(1) for one in active}
    return {one.path: said.get(one.path, Decimal()) for one in members}


def _order(deployment: Deployment) -> Decimal:
    return deployment.number("order") or Decimal()


def _use_case(
    settings: Settings, name: str, group: str, members: Sequence[Deployment],
    arms: Mapping[str, Sequence[Arm]], owner: str, today: date,
) -> dict[str, Any]:  # fmt: skip
    primary = arms[group][0]
    fallbacks: list[str] = []
    for key in FALLBACKS:
        fallbacks += _models(settings, settings.fallbacks(key, group), arms, primary.embeds)
    fallbacks += _models(settings, settings.default_fallbacks(), arms, primary.embeds)
    aliases = [escape(alias) for alias in (group, *settings.aliases(group)) if alias != name]
    timeouts = {
        mine: written
        for mine, key in (("deadline", "timeout"), ("first_token", "stream_timeout"))
        if (written := _agreed(settings, members, key))
    }
    use_case: dict[str, Any] = {"use_case": name, "owner": owner, "class": "internal"}
    use_case |= {"aliases": aliases} if aliases else {}
    use_case |= as_chain([(arm.model, arm.weight) for arm in arms[group]], fallbacks)
    use_case |= {"timeouts": timeouts} if timeouts else {}
    use_case |= {"on_refusal": "fallback"} if settings.fallbacks("content_policy_fallbacks", group) else {}
    use_case["review"] = {"by": today + REVIEW_AFTER}
    return use_case


def _models(
    settings: Settings, named: Sequence[tuple[Path, str]], arms: Mapping[str, Sequence[Arm]], embeds: bool
) -> list[str]:
    """A fallback names a group, or one deployment by its id. Only what embeds can step in for what embeds."""
    models = []
    for path, name in named:
        found = arms.get(name) or [arm for group in arms.values() for arm in group if name in arm.ids]
        if not found:
            settings.notebook.add(path, "no group that was converted has this name")
        models += [arm.model for arm in found if arm.embeds == embeds]
    return models


def _agreed(settings: Settings, members: Sequence[Deployment], key: str) -> str | None:
    """What all deployments of a group say; a use case has one such time."""
    said = [one for one in members if key in one.params]
    values = {seconds(one.params[key]) for one in said}
    if len(values) == 1 and len(said) == len(members) and None not in values:
        return values.pop()
    for one in said:
        settings.notebook.add(
            (*one.path, "litellm_params", key), "not carried over: times are said per use case (timeouts)"
        )
    return None


def seconds(value: object) -> str | None:
    """`30` as `30s`."""
    number = as_number(value)
    return f"{number:f}s" if number is not None and 0 < number <= LONGEST_SECONDS else None


def _texts(value: object) -> list[str]:
    """Names in a list; a fallback may also be a mapping that says its model."""
    items = value if isinstance(value, list) else []
    return [str(item.get("model")) if isinstance(item, dict) else str(item) for item in items]


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    values = config.get("environment_variables")
    return {name: value for name, value in values.items() if isinstance(value, str)} if isinstance(values, dict) else {}


def _credentials(config: Mapping[str, Any]) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    rows = config.get("credential_list")
    found: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict) and isinstance(row.get("credential_values"), dict):
            found[str(row.get("credential_name"))] = (("credential_list", index), row["credential_values"])
    return found
