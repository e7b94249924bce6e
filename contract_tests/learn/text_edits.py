"""Edits a YAML file line by line: comments, order, quotes and anchors stay as they are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Texts that need no quotes in a block or a flow collection.
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|~)$)[A-Za-z/][\w/.\-]*", re.IGNORECASE)
Path = tuple[str | int, ...]


def parse(text: str) -> Any:
    """Return the data of a YAML file. The loader of libyaml is ten times as fast as the usual one."""
    return yaml.load(text, _Loader)


class NoSuchPlace(Exception):
    """The file does not have the place that an edit names."""


class YamlText:
    """The text of a YAML file, edited in place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root: yaml.Node | None = None

    @property
    def root(self) -> yaml.Node:
        """The nodes of the file as it is now."""
        if self._root is None:
            self._root = yaml.compose(self.text, _Loader)
        assert self._root is not None
        return self._root

    def has(self, *path: str | int) -> bool:
        """Return whether there is a place."""
        try:
            self._find(path)
        except NoSuchPlace:
            return False
        return True

    def keys(self, *path: str | int) -> list[str]:
        """Return the keys of a mapping."""
        _, node = self._find(path)
        return [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []

    def value(self, *path: str | int) -> Any:
        """Return a scalar as text, or a list of them."""
        _, node = self._find(path)
        return [each.value for each in node.value] if isinstance(node, yaml.SequenceNode) else node.value

    def rename(self, path: Path, new: str) -> None:
        """Rename a key."""
        key, _ = self._find(path)
        assert key is not None
        self._replace(key.start_mark, key.end_mark, quoted(new))

    def replace(self, path: Path, value: str) -> None:
        """Replace a scalar or a flow collection by YAML text; a block of text keeps its line."""
        _, node = self._find(path)
        old = self.text[self._at(node.start_mark) : self._at(node.end_mark)]
        tail = "\n" * old.endswith("\n")
        self._replace(node.start_mark, node.end_mark, f"{value}{tail}")

    def remove(self, path: Path) -> None:
        """Remove a key with its value, or an item of a block sequence. An anchor in it moves to its first alias."""
        for name in self._anchors(path):
            self._move_anchor(path, name)
        key, node = self._find(path)
        start = self.text.rfind("\n", 0, self._at((key or node).start_mark)) + 1
        self.text = self.text[:start] + self.text[self._end_of_lines(node) :]
        self._root = None

    def add_after(self, path: Path, lines: str) -> None:
        """Add lines, given without indentation, after a key and its value."""
        key, node = self._find(path)
        assert key is not None
        end = self._end_of_lines(node)
        self._insert(end, key.start_mark.column, lines)

    def add_before(self, path: Path, lines: str) -> None:
        """Add lines, given without indentation, before a key."""
        key, _ = self._find(path)
        assert key is not None
        self._insert(self.text.rfind("\n", 0, self._at(key.start_mark)) + 1, key.start_mark.column, lines)

    def scalars(self, *path: str | int) -> Iterator[yaml.ScalarNode]:
        """Yield each scalar below a place once, keys included."""
        yield from (node for node, _ in self._walk(self._find(path)[1], set()))

    def change(self, path: Path, choose: Callable[[str, bool], str | None]) -> int:
        """Replace scalars below a place; `choose` gets the text and whether it is a key. Return how many changed."""
        edits = []
        for node, is_key in self._walk(self._find(path)[1], set()):
            new = choose(node.value, is_key)
            if new is not None:
                edits.append((self._at(node.start_mark), self._at(node.end_mark), new))
        for start, end, new in sorted(edits, reverse=True):
            self.text = self.text[:start] + new + self.text[end:]
        self._root = None
        return len(edits)

    def _walk(self, node: yaml.Node, done: set[int], is_key: bool = False) -> Iterator[tuple[yaml.ScalarNode, bool]]:
        if id(node) in done:
            return
        done.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node, is_key
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                yield from self._walk(each, done)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from self._walk(key, done, is_key=True)
                yield from self._walk(value, done)

    def _find(self, path: Path) -> tuple[yaml.Node | None, yaml.Node]:
        key, node = None, self.root
        for step in path:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
                if pair is None:
                    raise NoSuchPlace("/".join(map(str, path)))
                key, node = pair
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                key, node = None, node.value[step]
            else:
                raise NoSuchPlace("/".join(map(str, path)))
        return key, node

    def _span(self, path: Path) -> tuple[int, int]:
        key, node = self._find(path)
        return self._at((key or node).start_mark), self._end_of_lines(node)

    def _anchors(self, path: Path) -> list[str]:
        start, end = self._span(path)
        return re.findall(r"(?<=[\s\[{])&(\w+)", self.text[start:end])

    def _move_anchor(self, path: Path, name: str) -> None:
        """Give the value of an anchor to the first alias outside of a place."""
        start, end = self._span(path)
        alias = re.search(rf"(?<=[\s\[{{])\*{name}\b", self.text[end:])
        if alias is None:
            return
        at = self.text.index(f"&{name}", start)
        after = at + len(name) + 1
        after += len(self.text[after:]) - len(self.text[after:].lstrip())
        node = next(each for each in self._nodes(self.root, set()) if self._at(each.start_mark) in {at, after})
        value = parse(yaml.serialize(node))
        flow = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
        flow = flow.removesuffix("\n").removesuffix("\n...")
        self.text = f"{self.text[: end + alias.start()]}&{name} {flow}{self.text[end + alias.end() :]}"
        self.text = self.text[:at] + self.text[at + len(name) + 1 :].removeprefix(" ")
        self._root = None

    def _nodes(self, node: yaml.Node, done: set[int]) -> Iterator[yaml.Node]:
        if id(node) in done:
            return
        done.add(id(node))
        yield node
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        for child in children:
            for each in child if isinstance(child, tuple) else (child,):
                yield from self._nodes(each, done)

    def _end_of_lines(self, node: yaml.Node) -> int:
        """Return where the line after a node begins. A block ends at the start of a later line."""
        end = self._at(node.end_mark)
        if self.text[end - 1] == "\n" or not self.text[self.text.rfind("\n", 0, end) + 1 : end].strip():
            above = self.text[:end].rstrip()
            while above.rpartition("\n")[2].lstrip().startswith("#"):  # a comment belongs to what follows
                above = above.rpartition("\n")[0].rstrip()
            return len(above) + 1
        return self.text.index("\n", end) + 1

    def _insert(self, at: int, column: int, lines: str) -> None:
        indented = "".join(f"{' ' * column}{line}\n" for line in lines.splitlines())
        self.text = self.text[:at] + indented + self.text[at:]
        self._root = None

    def _replace(self, start: yaml.Mark, end: yaml.Mark, new: str) -> None:
        self.text = self.text[: self._at(start)] + new + self.text[self._at(end) :]
        self._root = None

    @staticmethod
    def _at(mark: yaml.Mark) -> int:
        return int(mark.index)


def quoted(text: str) -> str:
    """Return a text as a YAML scalar."""
    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def folded(text: str, width: int = 118, indent: int = 2) -> str:
    """Return a text as a folded block for a key in column `indent` - 2."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width - indent:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return ">-\n" + "\n".join(" " * indent + each for each in [*lines, line])


def diff(before: str, after: str, name: str) -> str:
    """Return a unified diff."""
    return "".join(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}", n=2)
    ).rstrip("\n")
