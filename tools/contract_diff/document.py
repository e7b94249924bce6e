"""A document as operations: what is sent and read, without the ways of writing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .reading import UnreadableFile, line_of
from .references import followed, level_of, mapping, sequence
from .schemas import Part, Schemas
from .security import Security

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# Headers that are described elsewhere: by security and by media types.
_ELSEWHERE = {"authorization", "accept", "content-type"}


@dataclass
class Parameter:
    """A parameter of a path, query, header or cookie."""

    name: str
    part: Part
    required: bool
    style: str
    level: str
    line: int | None


@dataclass
class Body:
    """What is sent, or what comes with a status.

    Attributes:
        media: the schema of each media type; empty if there is no body.
        is_said: whether the file says which media types there are.
    """

    media: Mapping[str, Part] = field(default_factory=dict)
    required: bool = True
    is_said: bool = True
    level: str = "-"
    line: int | None = None


@dataclass
class Operation:
    """An operation; its path is that of the file, `segments` is the path below the base path."""

    method: str
    path: str
    definition: Mapping[str, Any]
    parameters: dict[str, Parameter]
    request: Body
    responses: dict[str, Body]
    level: str
    line: int | None

    @property
    def where(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


class Document:
    """One file."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.version = str(content.get("swagger") or content.get("openapi") or "")
        self.is_swagger = "swagger" in content
        if not self.version:
            raise UnreadableFile("is not an OpenAPI or Swagger file: it has neither `swagger` nor `openapi`")
        if not self.version.startswith("2." if self.is_swagger else "3."):
            raise UnreadableFile(f"has version {self.version}. Swagger 2.0 and OpenAPI 3.x can be compared")
        if not isinstance(content.get("paths"), Mapping):
            raise UnreadableFile("has no `paths`, or `paths` is not a mapping")
        self.paths: Mapping[str, Any] = content["paths"]
        self.schemas = Schemas(content)
        self.security = Security(content)

    @property
    def name(self) -> str:
        """Kind and version."""
        return f"{'Swagger' if self.is_swagger else 'OpenAPI'} {self.version}"

    @property
    def has_null(self) -> bool:
        """Swagger 2.0 has no word for null; some writers use `x-nullable`."""
        return not self.is_swagger or "x-nullable" in str(self.content)

    def check(self) -> None:
        """Read all operations with their schemas.

        Raises:
            UnreadableFile: one of them is not valid.
        """
        seen: set[frozenset[object]] = set()
        for operation in self.operations():
            parts = [parameter.part for parameter in operation.parameters.values()]
            for body in (operation.request, *operation.responses.values()):
                parts += body.media.values()
            try:
                for part in parts:
                    self.schemas.check(part, seen)
                self.security.of(operation.definition)
            except UnreadableFile as error:
                raise UnreadableFile(f"{error}, in {operation.where}") from None

    def operations(self) -> Iterator[Operation]:
        """All operations."""
        for path, item in self.paths.items():
            resolved = followed(self.content, item, f"the path {path}")
            for method in METHODS:
                if method in resolved:
                    where = f"{method.upper()} {path}"
                    yield self._operation(path, method, resolved, followed(self.content, resolved[method], where))

    def _operation(self, path: str, method: str, item: Mapping[str, Any], definition: Mapping[str, Any]) -> Operation:
        where = f"{method.upper()} {path}"
        declared: dict[tuple[str, str], Mapping[str, Any]] = {}
        for level in (item, definition):
            for node in sequence(level.get("parameters"), f"`parameters` of {where}"):
                parameter = followed(self.content, node, f"a parameter of {where}")
                declared[str(parameter.get("in")), str(parameter.get("name"))] = parameter
        parameters = {
            _key(path, place, name): self._parameter(parameter, f"{place} {name}")
            for (place, name), parameter in declared.items()
            if place not in {"body", "formData"} and not (place == "header" and name.lower() in _ELSEWHERE)
        }
        if self.is_swagger:
            request = self._swagger_request(definition, declared)
        else:
            request = self._body(definition.get("requestBody"), f"the request body of {where}")
            request.required = bool(request.media) and request.required
        responses = {}
        for status, node in mapping(definition.get("responses"), f"`responses` of {where}").items():
            responses[str(status).upper()] = self._response(definition, node, f"status {status} of {where}")
        line = line_of(item, method)
        return Operation(method.upper(), path, definition, parameters, request, responses, level_of(definition), line)

    def _parameter(self, parameter: Mapping[str, Any], name: str) -> Parameter:
        schema = parameter if self.is_swagger else parameter.get("schema", {})
        for content in mapping(parameter.get("content"), f"`content` of {name}").values():
            schema = mapping(content, f"`content` of {name}").get("schema", {})
        usual = "simple" if str(parameter.get("in")) in {"path", "header"} else "form"
        style = str(parameter.get("style") or parameter.get("collectionFormat") or usual)
        return Parameter(
            name,
            Part(schema),
            parameter.get("required") is True,
            usual if style == "csv" else style,
            level_of(parameter),
            line_of(parameter, "name"),
        )

    def _body(self, node: Any, what: str) -> Body:
        body = followed(self.content, node, what)
        content = mapping(body.get("content"), f"`content` of {what}")
        return Body(
            {
                media_type(name): Part(mapping(media, f"{name} of {what}").get("schema", {}))
                for name, media in content.items()
            },
            required=body.get("required") is True,
            level=level_of(body),
            line=line_of(body, "content") or line_of(body, "description"),
        )

    def _swagger_request(
        self, definition: Mapping[str, Any], declared: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> Body:
        consumed, is_said = self._media_types(definition, "consumes")
        fields = {name: parameter for (place, name), parameter in declared.items() if place == "formData"}
        if fields:
            needed = [name for name, parameter in fields.items() if parameter.get("required") is True]
            form = {"type": "object", "properties": fields, "required": needed}
            types = [media for media in consumed if media in FORMS] or list(FORMS[:1])
            return Body(dict.fromkeys(types, Part(form)), required=bool(needed))
        bodies = [parameter for (place, _), parameter in declared.items() if place == "body"]
        if not bodies:
            return Body(required=False)
        part = Part(bodies[0].get("schema", {}))
        types = consumed if is_said else ["application/json"]
        line = line_of(bodies[0], "name")
        is_needed = bodies[0].get("required") is True
        return Body(dict.fromkeys(types, part), is_needed, is_said, level_of(bodies[0]), line)

    def _response(self, definition: Mapping[str, Any], node: Any, what: str) -> Body:
        if not self.is_swagger:
            return self._body(node, what)
        response = followed(self.content, node, what)
        line = line_of(response, "description")
        if "schema" not in response:
            return Body(level=level_of(response), line=line)
        types, is_said = self._media_types(definition, "produces")
        part = Part(response["schema"])
        media = dict.fromkeys(types if is_said else ["application/json"], part)
        return Body(media, True, is_said, level_of(response), line)

    def _media_types(self, definition: Mapping[str, Any], key: str) -> tuple[list[str], bool]:
        types = sequence(definition.get(key, self.content.get(key)), f"`{key}`")
        return [media_type(str(media)) for media in types], bool(types)


def media_type(text: str) -> str:
    """A media type without its charset: JSON is always UTF-8."""
    kind, *parameters = (part.strip() for part in text.lower().split(";"))
    return ";".join([kind, *(part for part in parameters if part and not part.startswith("charset="))])


def is_json(media: str) -> bool:
    """Whether a body of this type is JSON, or may be."""
    kind = media.partition(";")[0]
    return kind in {"application/json", "text/json", "*/*", "application/*"} or kind.endswith("+json")


def _key(path: str, place: str, name: str) -> str:
    """A path parameter is known by its place from the end, as its name is the writer's own."""
    if place != "path":
        return f"{place} {name.lower() if place == 'header' else name}"
    names = re.findall(r"\{([^{}]*)\}", path)
    return f"path {names.index(name) - len(names)}" if name in names else "path"
