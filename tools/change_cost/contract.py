"""Load openapi.yaml as data that a correction can edit, and write it as YAML again.

Numbers keep their digits. Objects that YAML anchors share stay shared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

METHODS = ("get", "put", "post", "delete", "patch")
CHARGE_SCHEMAS = ("NewRecurringProduct", "RecurringProductChange", "RecurringProduct")


class CorrectionError(Exception):
    """The contract does not fit a correction; the message names the part of the contract."""


class _Number(float):
    """A number that keeps its digits from the file: 0.000001 is not written as 1e-06."""

    text = ""


# The libyaml loader is ten times as fast as the Python one. PyYAML includes libyaml on the usual platforms.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_SafeLoader):  # type: ignore[misc]
    pass


class _Dumper(_SafeDumper):  # type: ignore[misc]
    pass


def _construct_number(loader: _Loader, node: yaml.ScalarNode) -> _Number:
    number = _Number(loader.construct_yaml_float(node))
    number.text = node.value
    return number


def _represent_number(dumper: _Dumper, number: _Number) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", number.text)  # type: ignore[no-any-return]


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_number)
_Dumper.add_representer(_Number, _represent_number)


@lru_cache(maxsize=1)
def _load(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader


class Contract:
    """A contract that a correction edits in place."""

    def __init__(self, path: Path) -> None:
        """Read the contract from a file."""
        # Each correction edits its own copy. deepcopy keeps shared the objects that YAML anchors share.
        self.document: Any = copy.deepcopy(_load(path.read_text(encoding="utf-8")))

    def text(self) -> str:
        """Return the contract as YAML."""
        return yaml.dump(self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    @property
    def paths(self) -> dict[str, Any]:
        """The path items of the contract, by path."""
        return self.document["paths"]  # type: ignore[no-any-return]

    def component(self, kind: str, name: str) -> Any:
        """Return a component, such as the schema `Customer`.

        Raises:
            CorrectionError: the contract has no such component.
        """
        try:
            return self.document["components"][kind][name]
        except KeyError:
            raise CorrectionError(f"components/{kind}/{name} is not in the contract") from None

    def schema(self, name: str) -> Any:
        """Return a schema of the components."""
        return self.component("schemas", name)

    def operations(self) -> Iterator[tuple[str, str, Any]]:
        """Yield each operation with its path and method."""
        for path, item in self.paths.items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def operation(self, operation_id: str) -> Any:
        """Return an operation by its operationId."""
        for _, _, operation in self.operations():
            if operation["operationId"] == operation_id:
                return operation
        raise CorrectionError(f"no operation {operation_id}")

    def examples(self) -> Iterator[Any]:
        """Yield the examples in the components."""
        yield from self.document["components"]["examples"].values()

    def rename_property(self, old: str, new: str, schemas: tuple[str, ...]) -> None:
        """Rename a property in the schemas and in their `required`. The property keeps its `x-sdk`.

        Raises:
            CorrectionError: the last of the schemas has no such property. The other schemas may lack the property.
        """
        for name in schemas:
            schema = self.schema(name)
            if old in schema["properties"]:
                rename_key(schema["properties"], old, new)
                schema["required"] = [new if each == old else each for each in schema.get("required", [])]
                if not schema["required"]:
                    del schema["required"]
            elif name == schemas[-1]:
                raise CorrectionError(f"schema {name} has no property {old}")

    def rename_in_examples(self, old: str, new: str, *, names: Callable[[str], bool] = lambda _: True) -> None:
        """Rename a key in the values of those examples whose name `names` accepts."""
        done: set[int] = set()  # the ids of changed objects
        for name, example in self.document["components"]["examples"].items():
            if names(name):
                _rename_deep(example["value"], old, new, done)
        if not done:
            raise CorrectionError(f"no example has {old}")

    def rename_in_links(self, old: str, new: str, operation: str = "") -> None:
        """Replace text in the expressions of links, such as `$response.body#/items/0/`.

        Only links whose name contains `operation` change.
        """
        for name, link in self.document["components"]["links"].items():
            if operation in name:
                for key, expression in link["parameters"].items():
                    link["parameters"][key] = expression.replace(old, new)

    def change_texts(self, change: Callable[[str], str]) -> None:
        """Replace every text in the values of the examples by the result of `change`."""
        for example in self.examples():
            example["value"] = map_texts(example["value"], change, {})


def map_texts(value: Any, change: Callable[[str], str], done: dict[int, Any]) -> Any:
    """Replace every text inside a value, in place, and return the value.

    `done` holds the objects that are already changed: YAML anchors share objects, and each object must change only
    once.
    """
    if isinstance(value, str):
        return change(value)
    if id(value) in done:
        return value
    if isinstance(value, dict):
        done[id(value)] = value
        for key, each in value.items():
            value[key] = map_texts(each, change, done)
    elif isinstance(value, list):
        done[id(value)] = value
        value[:] = [map_texts(each, change, done) for each in value]
    return value


def rename_key(mapping: dict[str, Any], old: str, new: str) -> None:
    """Rename a key in place and keep the order of the keys."""
    if old not in mapping or new in mapping:
        raise CorrectionError(f"cannot rename {old} to {new}")
    renamed = {new if key == old else key: value for key, value in mapping.items()}
    mapping.clear()
    mapping.update(renamed)


def _rename_deep(value: Any, old: str, new: str, done: set[int]) -> None:
    if isinstance(value, dict):
        if old in value:
            rename_key(value, old, new)
            done.add(id(value))
        for each in value.values():
            _rename_deep(each, old, new, done)
    elif isinstance(value, list):
        for each in value:
            _rename_deep(each, old, new, done)
