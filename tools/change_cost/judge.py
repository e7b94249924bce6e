"""Check requests and responses against openapi.yaml.

This module shares no code with the wrapper, the mock or the contract suite, so it does not repeat their errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

METHODS = ("get", "put", "post", "delete", "patch")


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast as the Python loader


def _decimals(_validator: Any, most: int, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Check `x-decimals`."""
    if isinstance(value, Decimal) and value % Decimal(1).scaleb(-most):
        yield ValidationError(f"{value} has more than {most} decimals")


_Validator: Any = extend(Draft202012Validator, {"x-decimals": _decimals})


class _Loader(_SafeLoader):  # type: ignore[misc]
    """A loader that reads numbers as Decimal, because `multipleOf: 0.01` is not exact with float."""


_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: Decimal(node.value))


def load_json(text: bytes | str) -> Any:
    """Read JSON with numbers as Decimal, so that every digit is kept."""
    return json.loads(text, parse_float=Decimal)


class Judge:
    """Checks requests and responses against one contract, and remembers the last body of each resource."""

    def __init__(self, text: str) -> None:
        """Read the contract from its YAML text."""
        self.document: Any = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
        server = self.document["servers"][0]
        url = server["url"]
        for name, variable in server.get("variables", {}).items():
            url = url.replace(f"{{{name}}}", variable["default"])
        self.base_path = urlsplit(url).path.rstrip("/")
        self._last: dict[str, Any] = {}  # the last body of each resource, by its path
        self._validators: dict[int, Draft202012Validator] = {}

    @classmethod
    def of(cls, path: Path) -> Judge:
        """Return a judge for the contract in a file."""
        return cls(path.read_text(encoding="utf-8"))

    def resolve(self, node: Any) -> Any:
        """Return the target of a node that is a reference, and any other node as it is."""
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def invalid(self, value: Any, schema: Any) -> list[str]:
        """Return a message for each place where a value does not match a schema."""
        validator = self._validators.get(id(schema))
        if validator is None:
            # `#/components/…` in the schema must resolve, so the validated document has the components.
            whole = {"components": self.document["components"], "allOf": [schema]}
            validator = _Validator(whole, format_checker=FormatChecker())
            self._validators[id(schema)] = validator
        return [
            f"{'/'.join(map(str, error.absolute_path)) or 'the body'}: {error.message[:160]}"
            for error in validator.iter_errors(value)
        ]

    def route(self, path: str) -> tuple[str, dict[str, Any], dict[str, str]] | None:
        """Return the contract's path that matches a request path, its path item, and the path parameters."""
        if not path.startswith(self.base_path + "/"):
            return None
        segments = path.removeprefix(self.base_path).split("/")
        for template, item in self.document["paths"].items():
            names = template.split("/")
            if len(names) == len(segments) and all(
                re.fullmatch(r"\{\w+\}", name) or name == segment for name, segment in zip(names, segments, strict=True)
            ):
                pairs = zip(names, segments, strict=True)
                return template, item, {name[1:-1]: unquote(text) for name, text in pairs if name.startswith("{")}
        return None

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes, extra: str) -> list[str]:
        """Return a message for each way in which a request breaks the contract.

        `extra` is the only undeclared property that the body may have.
        """
        path, _, query = target.partition("?")
        where = self.route(path)
        if where is None:
            return [f"{method} {path}: no such path"]
        template, item, values = where
        operation = item.get(method.lower())
        name = f"{method} {template}"
        if operation is None:
            return [f"{name}: the method is not allowed"]
        parameters = [self.resolve(each) for each in [*item.get("parameters", []), *operation.get("parameters", [])]]
        sent = {"path": values, "query": dict(parse_qsl(query, keep_blank_values=True)), "header": headers}
        faults = [
            f"undeclared query parameter {key}" for key in sent["query"] if key not in _names(parameters, "query")
        ]
        for parameter in parameters:
            text = sent.get(parameter["in"], {}).get(parameter["name"])
            if text is not None:
                schema = self.resolve(parameter["schema"])
                value = int(text) if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text) else text
                faults += [f"{parameter['name']} {each}" for each in self.invalid(value, schema)]
            elif parameter.get("required"):
                faults.append(f"{parameter['name']} is missing")
        faults += self._body(operation, headers, body, extra)
        if method == "PUT" and not faults:
            faults += self._cleared(path, load_json(body), self._schema(operation["requestBody"]))
        return [f"{name}: {fault}" for fault in faults]

    def response(self, method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Return a message for each way in which a response breaks the contract.

        The body of a success is remembered: `request` uses it to check a later PUT.
        """
        path = target.partition("?")[0]
        where = self.route(path)
        operation = where[1].get(method.lower()) if where else None
        if where is None or operation is None:
            return []
        name = f"{method} {where[0]} {status}"
        declared = self.resolve(operation["responses"].get(str(status)))
        if declared is None:
            return [f"{name}: the status is not declared"]
        if "content" not in declared:
            return [f"{name}: there is a body, and none is declared"] if body else []
        media = headers.get("Content-Type", "").partition(";")[0]
        if media not in declared["content"]:
            return [f"{name}: the media type is {media or 'missing'}"]
        try:
            value = load_json(body)
        except ValueError:
            return [f"{name}: the body is not JSON"]
        faults = self.invalid(value, declared["content"][media]["schema"])
        if status < 300:
            self._remember(path, value)
            faults += [f"links to {link}, which is no path" for link in _links(value) if not self.route(link)]
        return [f"{name}: {fault}" for fault in faults]

    def _body(self, operation: Any, headers: Mapping[str, str], body: bytes, extra: str) -> list[str]:
        if "requestBody" not in operation:
            return ["a body, and none is declared"] if body else []
        if headers.get("Content-Type", "").partition(";")[0] != "application/json":
            return ["the media type is not application/json"]
        try:
            value = load_json(body)
        except ValueError:
            return ["the body is not JSON"]
        schema = self._schema(operation["requestBody"])
        return self.invalid(value, schema) + [
            f"undeclared property {key}" for key in self.undeclared(value, schema, extra)
        ]

    def _schema(self, body: Any) -> Any:
        return self.resolve(body)["content"]["application/json"]["schema"]

    def undeclared(self, value: Any, schema: Any, extra: str) -> Iterator[str]:
        """Yield the properties that the schema does not declare.

        A validator does not report them, because the schemas allow additional properties.
        """
        declared = self.properties(schema)
        if isinstance(value, dict) and declared:
            for key, each in value.items():
                if key not in declared and key != extra:
                    yield key
                elif key in declared:
                    yield from self.undeclared(each, declared[key], extra)

    def properties(self, schema: Any) -> dict[str, Any]:
        """Return the properties of a schema, with those inside `allOf` and `anyOf`."""
        schema = self.resolve(schema)
        found = dict(schema.get("properties", {}))
        for part in [*schema.get("allOf", []), *schema.get("anyOf", [])]:
            found |= self.properties(part)
        return found

    def _remember(self, path: str, value: Any) -> None:
        """Remember a resource, and each resource in a list, by the path of the resource."""
        if isinstance(value, dict):
            own = next((value[key] for key in ("@id", "id") if isinstance(value.get(key), str)), "")
            self._last[own if own.startswith("/") else path] = value
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            if isinstance(each, list):
                for resource in each:
                    self._remember("", resource)

    def _cleared(self, path: str, sent: dict[str, Any], schema: Any) -> list[str]:
        """Return a message for each value that a PUT would clear by leaving it out."""
        before = self._last.get(path)
        if before is None:
            return ["the charge was not read before it was replaced"]
        # A PUT with null clears a value on purpose. A PUT without the property clears the value by mistake.
        lost = [key for key in self.properties(schema) if before.get(key) is not None and key not in sent]
        return [f"clears {key} by leaving it out" for key in lost]


def _links(value: Any) -> Iterator[str]:
    """Yield the links in a body, each without its query string."""
    if isinstance(value, str) and value.startswith("/billing/"):
        yield value.partition("?")[0]
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _links(each)


def _names(parameters: list[Any], place: str) -> set[str]:
    return {parameter["name"] for parameter in parameters if parameter["in"] == place}


@cache
def _meta_schema() -> Any:
    import jsonschema_rs  # noqa: PLC0415 - only needed to check a contract
    import openapi_spec_validator  # noqa: PLC0415

    folder = Path(openapi_spec_validator.__file__).parent / "resources" / "schemas" / "v3.1"
    return jsonschema_rs.validator_for(json.loads((folder / "schema.json").read_text(encoding="utf-8")))


def contract_faults(text: str) -> list[str]:
    """Return a message for each fault of a contract.

    Faults are: invalid OpenAPI, references and links without a target, and examples that do not match their schema.
    """
    plain = yaml.load(text, _SafeLoader)  # noqa: S506
    faults = [f"OpenAPI: {error.message[:200]}" for error in _meta_schema().iter_errors(plain)]
    judge = Judge(text)
    operations = {
        operation["operationId"]
        for item in judge.document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    }
    links = judge.document["components"].get("links", {})
    faults += [f"link {name} leads nowhere" for name, link in links.items() if link["operationId"] not in operations]
    for path, node in _walk(judge.document, ""):
        if "$ref" in node:
            try:
                judge.resolve(node)
            except KeyError:
                faults.append(f"{path}: {node['$ref']} leads nowhere")
    if faults:
        return faults  # without valid references, the examples cannot be checked
    for path, node in _walk(judge.document, ""):
        if "examples" in node and "schema" in node:
            for name, example in node["examples"].items():
                value = judge.resolve(example)["value"]
                faults += [f"example {name}, {each}" for each in judge.invalid(value, node["schema"])]
                faults += [
                    f"example {name} has the undeclared {each}" for each in judge.undeclared(value, node["schema"], "")
                ]
        elif "example" in node and "schema" in node:
            faults += [f"{path}: {each}" for each in judge.invalid(node["example"], node["schema"])]
    return faults


def _walk(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, each in node.items():
            yield from _walk(each, f"{path}/{key}")
    elif isinstance(node, list):
        for index, each in enumerate(node):
            yield from _walk(each, f"{path}/{index}")
