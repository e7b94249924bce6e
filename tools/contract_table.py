"""Make the contract table: openapi.yaml as typed Python, with names, kinds, limits and routes for the wrapper.

`make generate` writes the table to wrapper/payex_billing/_contract.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

METHODS = ("get", "put", "post", "delete", "patch")
HEAD = '''"""The operations, properties and limits of the contract.

Made by `make generate` from openapi.yaml. Never edit it: correct the contract.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from ._schema import Kind, Operation, Property, Server, Shape
'''
_COMBINED = ("anyOf", "oneOf", "allOf")
_PAGED = re.compile("page|offset|cursor|skip", re.IGNORECASE)
Schema = Mapping[str, Any]


class TableError(Exception):
    """The wrapper cannot support a part of the contract; the message names the part and the reason."""


def render(contract: Mapping[str, Any]) -> str:
    """Return the source of the module `_contract`.

    Raises:
        TableError: the wrapper cannot support a part of the contract.
    """
    return _Table(contract).render()


class _Table:
    """The table of one contract.

    Args:
        contract: the contract.
    """

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self._contract = contract
        self._shapes: dict[str, str] = {}  # source of each shape, by its name in Python

    def render(self) -> str:
        """Return the source of the whole module."""
        operations = [
            self._operation(path, method, item)
            for path, item in self._contract["paths"].items()
            for method in METHODS
            if method in item
        ]
        parts = [HEAD, *self._types(), *self._shapes.values()]
        parts.append(f"PARAMETERS: Final[Mapping[str, Property]] = {{{', '.join(self._parameters())}}}")
        named = ", ".join(f"{name!r}: {source}" for name, source in operations)
        parts.append(f"OPERATIONS: Final[Mapping[str, Operation]] = {{{named}}}")
        parts.append(f"SERVERS: Final[Mapping[str, Server]] = {{{', '.join(self._servers())}}}")
        parts.append(f"SUBDOMAIN: Final = {self._subdomain()!r}")
        problems = {code: each["status"] for code, each in self._contract["x-problem-types"].items()}
        parts.append(f"PROBLEMS: Final[Mapping[str, int]] = {problems!r}")
        return "\n\n".join(parts) + "\n"

    # operations

    def _operation(self, path: str, method: str, item: Schema) -> tuple[str, str]:
        definition = item[method]
        name = definition["operationId"]
        where = f"{method.upper()} {path}"
        given: dict[str, object] = {"name": name, "method": method.upper(), "path": path}
        code = [f"{key}={value!r}" for key, value in given.items()]
        if "requestBody" in definition:
            content = self._resolved(definition["requestBody"])["content"]
            media_type = next((each for each in content if each.split(";")[0].endswith("json")), None)
            if media_type is None:
                raise TableError(f"{where}: the request body is not JSON")
            code += [f"body={self._shape(content[media_type]['schema'], where)}", f"media_type={media_type!r}"]
        schema = self._result(definition["responses"])
        items, pages = None, False
        if schema is not None:
            resource, listing = self._listing(schema, where)
            code += [f"result={self._shape(resource, where)}", *listing]
            items, pages = bool(listing), any(each.startswith("following") for each in listing)
        code += self._sent_parameters(item, definition, where, is_list=bool(items), has_next=pages)
        return name, f"Operation({', '.join(code)})"

    def _result(self, responses: Schema) -> Schema | None:
        """Return the schema of the first 2xx response with a JSON body, or None if no response has one."""
        for status, response in responses.items():
            if str(status).startswith("2"):
                for media_type, each in self._resolved(response).get("content", {}).items():
                    if media_type.split(";")[0].endswith("json"):
                        schema: Schema = each["schema"]
                        return schema
        return None

    def _listing(self, schema: Schema, where: str) -> tuple[Schema, list[str]]:
        """Return the schema of one resource, and the code that describes a list.

        The code names the properties of the response that have the resources and the link to the next page. The code
        is empty if the response is not a list.
        """
        resolved = self._resolved(schema)
        if resolved.get("type") == "array":
            raise TableError(f"{where}: the list is a bare array, which has no place for a link to the next page")
        arrays = [
            name
            for name, each in resolved.get("properties", {}).items()
            if self._plain(each).get("type") == "array" and not self._is_operations(each)
        ]
        if not arrays or self._own_link(
            resolved["properties"]
        ):  # one resource, not a list; a resource may have arrays, too
            return schema, []
        if len(arrays) > 1:
            raise TableError(f"{where}: {' and '.join(arrays)} are arrays; which has the resources?")
        items = arrays[0]
        code = [f"items={items!r}"]
        links = resolved["properties"]
        for name, each in links.items():
            inner = self._plain(each).get("properties")
            if inner is not None and (self._own_link(inner) or self._following(inner)):
                code.append(f"navigation={name!r}")
                if name not in resolved.get("required", ()):
                    code.append("is_navigation_optional=True")
                links = inner
                break
        own, following = self._own_link(links), self._following(links)
        if own:
            code.append(f"own={own!r}")
        if following:
            self._check_link(links[following], following, own or "@id", where)
            code.append(f"following={following!r}")
        return self._plain(resolved["properties"][items])["items"], code

    def _own_link(self, properties: Schema) -> str | None:
        """Return the name of the property that links to the resource itself."""
        return next(
            (name for name, each in properties.items() if name == "@id" or self._sdk(each).get("name") == "uri"), None
        )

    def _check_link(self, schema: Schema, name: str, own: str, where: str) -> None:
        """Check that the wrapper can read a link: a text, or an object with the link as `own` or `href`.

        Raises:
            TableError: it is neither.
        """
        plain = self._plain(schema)
        if plain.get("type") != "string" and not {own, "href"} & plain.get("properties", {}).keys():
            raise TableError(f"{where}: {name} is neither a link nor an object with a link called {own} or href")

    @staticmethod
    def _following(links: Schema) -> str | None:
        return next((name for name in links if re.match("next", name, re.IGNORECASE)), None)

    def _sent_parameters(
        self, item: Schema, definition: Schema, where: str, *, is_list: bool, has_next: bool
    ) -> list[str]:
        """Return the code for the parameters that are not in the path.

        Raises:
            TableError: the wrapper cannot send a parameter that the contract requires.
        """
        code = []
        for parameter in map(self._resolved, [*item.get("parameters", ()), *definition.get("parameters", ())]):
            name, place = parameter["name"], parameter["in"]
            if place == "header" and name.lower() == "idempotency-key":
                code.append(f"idempotency_header={name!r}")
            elif place != "path" and parameter.get("required") and "default" not in parameter.get("schema", {}):
                raise TableError(f"{where}: the {place} parameter {name} is required, and the wrapper does not send it")
            elif place == "query" and is_list and not has_next and _PAGED.match(name):
                raise TableError(
                    f"{where}: the parameter {name} says that the list has pages, and the response declares no link "
                    "`next`. The wrapper would read the first page only"
                )
        return code

    # properties

    def _shape(self, schema: Schema, where: str) -> str:
        """Return the name of the shape for an object schema, and store the shape's source in `_shapes`."""
        reference = schema.get("$ref", "")
        if not reference.startswith("#/components/schemas/"):
            raise TableError(f"{where}: the schema must be one of components/schemas")
        schema_name = reference.rpartition("/")[2]
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", schema_name).upper()
        if name not in self._shapes:
            resolved = self._resolved(schema)
            required = resolved.get("required", ())
            properties = [
                self._property(wire, each, f"{schema_name}.{wire}", required=wire in required)
                for wire, each in resolved.get("properties", {}).items()
            ]
            self._shapes[name] = f"{name}: Final[Shape] = ({''.join(f'{each}, ' for each in properties)})"
        return name

    def _parameters(self) -> Iterator[str]:
        for parameter in self._contract["components"]["parameters"].values():
            if parameter["in"] == "path":
                name = parameter["name"]
                yield f"{name!r}: {self._property(name, parameter['schema'], name, required=True)}"

    def _property(self, wire: str, schema: Schema, where: str, *, required: bool) -> str:
        plain = self._plain(schema)
        sdk = self._sdk(schema)
        kind = self._kind(plain, where, is_id=sdk.get("kind") == "id")
        given: dict[str, object] = {"name": sdk.get("name") or _snake(wire), "wire": wire}
        limits: dict[str, object] = {"required": required, "nullable": self._nullable(schema)}
        limits["whole"] = kind == "ID" and plain.get("type") == "integer"
        if kind in {"WHOLE", "DECIMAL"}:
            limits |= {name: _number(plain[name]) for name in ("minimum", "maximum") if name in plain}
            limits["decimals"] = decimals_of(plain, where)
        limits["min_length"], limits["max_length"] = plain.get("minLength"), plain.get("maxLength")
        limits["pattern"] = plain.get("pattern")
        limits["excluded"] = tuple(plain.get("not", {}).get("enum", ()))
        limits["choices"] = tuple(plain.get("enum", ()))
        text = " ".join((schema.get("description") or plain.get("description", "")).split())
        limits["description"] = re.split(r"(?<=[\w`)])\. ", text)[0].removesuffix(".")  # the first sentence
        code = [f"{key}={value!r}" for key, value in given.items()]
        code.append(f"kind=Kind.{kind}")
        code += [f"{key}={value!r}" for key, value in limits.items() if value]
        code += [
            f"{key}={value!r}"
            for key, value in limits.items()
            if value == 0 and (isinstance(value, Decimal) or key == "decimals")
        ]
        return f"Property({', '.join(code)})"

    def _kind(self, schema: Schema, where: str, *, is_id: bool) -> str:
        kind, form = schema.get("type"), schema.get("format")
        if is_id and kind in {"string", "integer"}:
            return "ID"
        if self._is_operations(schema):
            return "OPERATIONS"
        match kind, form:
            case "string", "uri-reference" | "uri" | "iri" | "iri-reference":
                return "LINK"
            case "string", "date":
                return "DATE"
            case "string", "date-time":
                return "TIME"
            case "string", None | "uuid" | "email" | "byte":
                return "TEXT"
            case "integer", _:
                return "WHOLE"
            case "number", _:
                return "DECIMAL"
            case "boolean", _:
                return "BOOLEAN"
            case (("object" | "array"), _):
                return "JSON"
        raise TableError(f"{where}: the wrapper does not know the type {kind!r} with the format {form!r}")

    def _is_operations(self, schema: Schema) -> bool:
        """Return whether a property lists the operations that are allowed on a resource."""
        items = self._plain(schema).get("items")
        return items is not None and {"rel", "method", "href"} <= self._plain(items).get("properties", {}).keys()

    def _types(self) -> Iterator[str]:
        """Yield a type alias for each number that a correction may change from int to Decimal, such as a quantity."""
        seen = set()
        for schema in self._contract["components"]["schemas"].values():
            for wire, each in schema.get("properties", {}).items():
                plain = self._plain(each)
                name = self._sdk(each).get("name") or _snake(wire)
                if plain.get("type") in {"integer", "number"} and name not in seen and "x-sdk" in plain:
                    seen.add(name)
                    alias = "".join(part.capitalize() for part in name.split("_"))
                    is_id = plain["x-sdk"].get("kind") == "id"
                    if not is_id:
                        yield f"{alias}: TypeAlias = {'int' if plain['type'] == 'integer' else 'Decimal'}"

    # servers

    def _servers(self) -> Iterator[str]:
        for server in self._contract["servers"]:
            parts = urlsplit(server["url"])
            origin = f"{parts.scheme}://{parts.netloc}"
            name = server["description"].lower()
            yield f"{name!r}: Server(origin={origin!r}, path={parts.path.rstrip('/')!r})"

    def _subdomain(self) -> str:
        variables = self._contract["servers"][0].get("variables", {})
        return str(variables.get("subdomain", {}).get("default", ""))

    # schemas

    def _resolved(self, node: Schema) -> Schema:
        """Return the target of a reference. Keys beside `$ref` override the keys of the target."""
        while "$ref" in node:
            target: Any = self._contract
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            node = {**target, **{name: each for name, each in node.items() if name != "$ref"}}
        return node

    def _plain(self, schema: Schema) -> Schema:
        """Return a schema with references resolved, and without null as one of its types."""
        resolved = self._resolved(schema)
        combined = next((resolved[name] for name in _COMBINED if name in resolved), ())
        others = [each for each in combined if each.get("type") != "null"]
        if len(others) == 1:
            inner = self._plain(others[0])
            return {**inner, **{name: each for name, each in resolved.items() if name not in _COMBINED}}
        kind = resolved.get("type")
        if isinstance(kind, list):
            left = [each for each in kind if each != "null"]
            return {**resolved, "type": left[0] if len(left) == 1 else kind}
        return resolved

    def _sdk(self, schema: Schema) -> Schema:
        """Return the `x-sdk` of a property. Keys beside a reference override those of its target."""
        return {**self._plain(schema).get("x-sdk", {}), **schema.get("x-sdk", {})}

    def _nullable(self, schema: Schema) -> bool:
        resolved = self._resolved(schema)
        options = resolved.get("anyOf", resolved.get("oneOf", ()))
        return "null" in (resolved.get("type") or ()) or any(each.get("type") == "null" for each in options)


def _snake(wire: str) -> str:
    """Return the Python name of a property: `end_date` for `endDate`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", wire.strip("@"))
    return words.strip("_").lower()


def _number(value: float) -> Decimal:
    return Decimal(repr(value))


def decimals_of(schema: Schema, where: str) -> int | None:
    """Return how many decimals `x-decimals` and `multipleOf` allow; None if the schema has neither.

    Raises:
        TableError: one of them is not a number of decimals.
    """
    found = []
    if "x-decimals" in schema:
        found.append(schema["x-decimals"])
        if type(found[0]) is not int or found[0] < 0:
            raise TableError(f"{where}: x-decimals must be a whole number from 0, not {found[0]!r}")
    if "multipleOf" in schema:
        sign, digits, exponent = _number(schema["multipleOf"]).normalize().as_tuple()
        if sign or digits != (1,) or not isinstance(exponent, int) or exponent > 0:
            raise TableError(f"{where}: multipleOf must be 1 or a power of ten below 1, not {schema['multipleOf']}")
        found.append(-exponent)
    return min(found, default=None)
