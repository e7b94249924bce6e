"""The names and kinds of a charge's properties: sent together, then one by one, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .engine import Answer, Answers
from .line import Reply, Undecided
from .names import IMPOSSIBLE, ROLES, SAMPLES, is_same, kind_of, shown_name, styled
from .scene import Scene

NOT_FOUND = "no charge shows the value that was sent under one of the tried names"


def names(scene: Scene) -> Answers:
    """Find the name and the kind of each role."""
    finder = _Finder(scene, scene.facts["unknown-properties"])
    reason = NOT_FOUND
    try:
        finder.find()
    except Undecided as error:
        reason = str(error)
    answers: dict[str, Answer | str] = {
        "charge-names": f"{len(finder.found)} of {len(ROLES)}" if len(finder.found) > 1 else ""
    }
    for role in ROLES:
        found = finder.found.get(role)
        answers[f"name-{role}"] = found[0] if found else Answer(note=reason)
    price, start = finder.found.get("unit_price"), finder.found.get("start_date") or finder.found.get("end_date")
    answers["kind-unit_price"] = price[1] if price else ""
    answers["kind-date"] = start[1] if start else ""
    return answers


class _Finder:
    """Finds the names, by how the server treats properties that it does not know: it keeps, drops or refuses them."""

    def __init__(self, scene: Scene, mode: str) -> None:
        self.scene, self.mode = scene, mode
        like = scene.names.get("product_code", scene.declared["product_code"])
        self.names = {
            role: list(dict.fromkeys(styled(each, like) for each in scene.candidates(role))) for role in ROLES
        }
        self.found: dict[str, tuple[str, str]] = {}  # by role: name and kind

    @property
    def pending(self) -> list[str]:
        """The roles without a name."""
        return [role for role in ROLES if role not in self.found]

    def find(self) -> None:
        """Try the likely names together, then all, then one by one."""
        shown = self.scene.show(self.scene.made[0])  # some servers show all properties, also those without a value
        for names in self.names.values():
            names.sort(key=lambda each: each not in shown)
        if self.mode == "kept":
            self._by_impossible_values()
        elif self._together({role: self.names[role][:1] for role in ROLES}) and self.pending:
            self._together({role: self.names[role] for role in self.pending})
        for number in range(2):
            for role in self.pending:
                kinds = list(SAMPLES[role].items())
                # Both dates have the same kind: where one date has the first kind, the second is not tried.
                if number < len(kinds) and not (number and "date" in self._kinds_of_dates(role)):
                    self._ask(role, *kinds[number])

    def _ask(self, role: str, kind: str, value: Any) -> None:
        names = self.names[role]
        if self.mode != "dropped" or len(names) < 2:
            self._one_by_one(role, kind, value)
            return
        _, made = self.scene.add({**self.scene.content(), **dict.fromkeys(names, value)})
        if made is not None:  # else one of the names is known, and has another kind
            shown = self.scene.show(made)
            for name in names:
                key = shown_name(shown, name)
                if key and is_same(role, shown[key], value):
                    self._note(role, key, kind_of(role, shown[key]), kind)
            self.names[role] = []

    def _kinds_of_dates(self, role: str) -> set[str]:
        dates = {"start_date", "end_date"}
        return {self.scene.kinds[each] for each in dates & self.found.keys()} if role in dates else set()

    def _together(self, tried: Mapping[str, list[str]]) -> bool:
        """Send several names at once, and once more without those that the server says it refuses.

        Return whether the server tells anything: it takes the charge, or names what it refuses.
        """
        values = {name: self._first(role) for role, names in tried.items() for name in names}
        for _ in range(2):
            reply, made = self.scene.add({**self.scene.content(), **values})
            if made is not None:
                self._take(self.scene.show(made), values, tried)
                for role, names in tried.items():  # what was taken and is not shown is no property of the server
                    left = [each for each in self.names[role] if each not in names]
                    self.names[role] = [] if role in self.found else left
                return True
            failed = {name.lower() for name in reply.failed_names}
            kept = {name: value for name, value in values.items() if name.lower() not in failed}
            if not kept or kept == values or self.mode == "dropped":
                # Where unknown names are dropped, a refused value belongs to a known name: its kind is tried later.
                return bool(failed) or self.mode == "dropped"
            values = kept
            tried = {role: [name for name in names if name in values] for role, names in tried.items()}
        return True

    def _take(self, shown: Mapping[str, Any], values: Mapping[str, Any], tried: Mapping[str, Iterable[str]]) -> None:
        for role, names in tried.items():
            for name in names:
                key = shown_name(shown, name)
                if name in values and key and is_same(role, shown[key], values[name]):
                    self._note(role, key, kind_of(role, shown[key]), next(iter(SAMPLES[role])))

    def _by_impossible_values(self) -> None:
        """Send all names with a value that none can hold: a server that keeps unknown names refuses the known ones."""
        left = {name: IMPOSSIBLE for role in ROLES for name in self.names[role]}
        known: list[str] = []
        while left:
            reply = self._tried({**self.scene.content(), **left})
            failed = {name.lower() for name in reply.failed_names} & {name.lower() for name in left}
            if reply.ok or not failed:
                break
            known += [name for name in left if name.lower() in failed]
            left = {name: value for name, value in left.items() if name.lower() not in failed}
        if reply.ok:  # all known names are found: the rest was kept
            self.names = {role: [each for each in names if each in known] for role, names in self.names.items()}
        elif known:
            self.names = {role: sorted(names, key=lambda each: each not in known) for role, names in self.names.items()}

    def _one_by_one(self, role: str, kind: str, value: Any) -> None:
        if self.mode == "kept" and kind == next(iter(SAMPLES[role])):
            names = self.names[role]
            self.names[role] = names[:1] if self._knows_any(names[:1]) else self._narrowed(names[1:])
        for name in self.names[role]:
            _, made = self.scene.add({**self.scene.content(), name: value})
            if made is None and self.mode != "refused":
                self.names[role] = [name]  # only a known name can be refused: its kind is another one
                return
            if made is None:
                continue  # an unknown name, or a known one of another kind
            shown = self.scene.show(made)
            key = shown_name(shown, name)
            if key and is_same(role, shown[key], value):
                self._note(role, key, kind_of(role, shown[key]), kind)
                return

    def _knows_any(self, names: list[str]) -> bool:
        """Return whether a server that keeps unknown names refuses one of these: it knows that one."""
        return bool(names) and not self._tried({**self.scene.content(), **dict.fromkeys(names, IMPOSSIBLE)}).ok

    def _narrowed(self, names: list[str]) -> list[str]:
        """Return the name that the server knows, by halves; none if it knows none of them."""
        if not self._knows_any(names):
            return []
        while len(names) > 1:
            half = names[: len(names) // 2]
            names = half if self._knows_any(half) else names[len(names) // 2 :]
        return names

    def _tried(self, body: dict[str, Any]) -> Reply:
        """Add a charge that nobody will read."""
        return self.scene.try_add(body)

    def _first(self, role: str) -> Any:
        return next(iter(SAMPLES[role].values()))

    def _note(self, role: str, name: str, shown: str, sent: str) -> None:
        if role not in self.found:
            self.found[role] = name, shown
            self.scene.names[role], self.scene.kinds[role] = name, sent


def decimals(scene: Scene) -> Answers:
    """Send a quantity with a decimal."""
    if "quantity" not in scene.names:
        raise Undecided("the name of the quantity is not known")
    reply, made = scene.add(scene.content(quantity=2.5))
    if made is None:
        return {"kind-quantity": Answer("integer", f"2.5 was answered {reply.verdict}")}
    shown = scene.show(made).get(scene.names["quantity"])
    return {"kind-quantity": "decimal" if is_same("quantity", shown, 2.5) else Answer("integer", "2.5 was rounded")}


def empty_values(scene: Scene) -> Answers:
    """Read the first charge, which was added without values."""
    shown = scene.show(scene.made[0])
    looked = [scene.names[role] for role in ("quantity", "unit_price", "vat_rate", "text") if role in scene.names]
    if not looked:
        raise Undecided("no name of a value is known")
    if any(shown.get(name) is not None for name in looked):
        return {"values-not-given": "the value that holds"}
    return {"values-not-given": "null" if any(name in shown for name in looked) else "absent"}


def dates(scene: Scene) -> Answers:
    """Add a charge that ends before it starts."""
    if not {"start_date", "end_date"} <= scene.names.keys():
        raise Undecided("the names of both dates are not known")
    body = scene.content(start_date=scene.sample("end_date"), end_date=scene.sample("start_date"))
    reply, made = scene.add(body)
    return {"ends-before-start": reply.verdict if made is None else "accepted"}


def read_only(scene: Scene) -> Answers:
    """Send a property that only the server sets."""
    reply, made = scene.add({**scene.content(), "billedUntil": "2031-01-01"})
    if made is None:
        return {"read-only-properties": Answer("refused", f"POST was answered {reply.verdict}")}
    return {"read-only-properties": "taken" if scene.show(made).get("billedUntil") == "2031-01-01" else "ignored"}
