"""What programs may ask of a controller, as an OpenAPI 3.1 document made of the routes' own table.

https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from typing import Final

import msgspec
from aiohttp import web

from controller.api.answers import JSON, answer
from controller.api.described import PATHS, STRING, TYPES, Said, Schema
from controller.api.guards import Access
from schemas.version import VERSION

ERROR: Final[Schema] = {
    "type": "object", "required": ["error"], "properties": {"error": {
        "type": "object", "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    }},
}  # fmt: skip
REFUSALS: Final[Mapping[int, str]] = {
    400: "It cannot be read, or says what cannot be.", 401: "Not known.", 403: "A foreign host, or out of scope.",
    404: "Nothing is there.", 409: "Not possible as things are.", 413: "Too large.",
    503: "Not now; Retry-After says when.",
}  # fmt: skip
ASKED_BY: Final[Mapping[Access, str]] = {
    Access.SIDECAR: "a sidecar: a line of sidecar.token, or what --access lets in",
    Access.ADMIN: "who may act: a line of admin.token",
    Access.READER: "who sees everything: either of them, and on loopback without --tokens everybody",
}


@cache
def document(accesses: tuple[tuple[str, str, Access], ...]) -> Schema:
    """
    Args:
        accesses: method, path and who may, of every route; those of pages are passed over.
    """
    known, components = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    schemas: dict[type, Schema] = dict(zip(TYPES, known, strict=True))
    paths: dict[str, Schema] = {}
    for method, path, access in accesses:
        if (said := PATHS.get((method, path))) is not None:
            paths.setdefault(path, {})[method.lower()] = _operation(said, access, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pointsman controller", "version": VERSION, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def handler(
    accesses: tuple[tuple[str, str, Access], ...],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show(_request: web.Request) -> web.Response:
        """`GET /openapi.json`."""
        return answer(document(accesses))

    return show


def _operation(said: Said, access: Access, schemas: Mapping[type, Schema]) -> Schema:
    operation: Schema = {"summary": said.summary, "responses": dict(_responses(said, access, schemas))}
    if access is not Access.OPEN:
        operation |= {"security": [{"bearer": []}], "description": f"For {ASKED_BY[access]}."}
    if said.parameters:
        operation["parameters"] = [
            {"name": one.name, "in": one.place, "schema": one.schema, "description": one.means,
             "required": one.place == "path", **({"style": "form", "explode": False} if one.is_list else {})}
            for one in said.parameters
        ]  # fmt: skip
    if said.takes is not None:
        schema = said.takes if isinstance(said.takes, dict) else schemas[said.takes]
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _responses(said: Said, access: Access, schemas: Mapping[type, Schema]) -> Iterator[tuple[str, Schema]]:
    yield str(said.status), {"description": said.summary} | _content(said.gives, schemas)
    for status, means in said.also.items():
        yield str(status), {"description": means}
    asks = (401,) if access is not Access.OPEN or said.status == 202 else ()
    for status in sorted({400, 403, *asks, *said.refuses}):
        schema = {"$ref": "#/components/schemas/Error"}
        yield str(status), {"description": REFUSALS[status], "content": {JSON: {"schema": schema}}}


def _content(gives: type | Schema | str | None, schemas: Mapping[type, Schema]) -> Schema:
    match gives:
        case None:
            return {}
        case str():
            return {"content": {gives: {"schema": STRING}}}
        case dict():
            return {"content": {JSON: {"schema": gives}}}
        case kind:
            return {"content": {JSON: {"schema": schemas[kind]}}}
