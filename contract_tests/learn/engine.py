"""Asks the questions in the order of a decision tree: cheapest first, and only those that still make sense."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .fence import OutOfBounds, Spent
from .line import Reply, Undecided
from .scene import Scene

DOES_NOT_APPLY = "does not apply"


@dataclass(frozen=True)
class Answer:
    """What a run found out.

    Attributes:
        value: the answer; empty if it is not decided.
        note: why it is not decided, or how far the answer holds.
        seen: the exchanges that show it.
    """

    value: str = ""
    note: str = ""
    seen: tuple[Reply, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the run knows the answer."""
        return bool(self.value)


Answers = Mapping[str, Answer | str]


@dataclass(frozen=True)
class Question:
    """One question: data, and the function that asks it.

    Attributes:
        decides: the keys of the answers.
        asks: what is sent, in words.
        reads: how the response is read, in words.
        cost: the most requests; 0 for a question that only reads what other questions were answered.
        leaves: what stays in the ledger until the clean-up; empty for nothing.
        ask: sends the requests, and returns the answers that it found.
        is_last: whether it is asked after the others, because it gains from what they leave.
        needs: keys that must be decided first, each with the answers that make sense of this question; an empty tuple
            stands for any answer.
    """

    decides: tuple[str, ...]
    asks: str
    reads: str
    cost: int
    ask: Callable[[Scene], Answers]
    leaves: str = ""
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_last: bool = False


def run(questions: Iterable[Question], scene: Scene) -> dict[str, Answer]:
    """Ask until everything is decided that can be, and return the answers by key."""
    answers: dict[str, Answer] = {}
    waiting = list(questions)
    while ready := [each for each in waiting if _state(each, answers) == "ready"]:
        # A question without requests reads what was exchanged so far: it comes last.
        question = min(ready, key=lambda each: (not each.cost, each.is_last, each.cost))
        waiting.remove(question)
        for key, answer in _ask(question, scene).items():
            answers[key] = answer
            scene.facts[key] = answer.value
        for each in [each for each in waiting if _state(each, answers) == "senseless"]:
            waiting.remove(each)
            answers |= {key: Answer(DOES_NOT_APPLY, _because(each, answers)) for key in each.decides}
    for each in waiting:
        answers |= {key: Answer(note=_because(each, answers)) for key in each.decides}
    return answers


def _ask(question: Question, scene: Scene) -> dict[str, Answer]:
    start = len(scene.line.exchanges)
    found: Answers = {}
    try:
        found = question.ask(scene)
        note = "the responses do not tell"
    except Undecided as error:
        note = str(error)
    except Spent:
        note = "the run has sent as many requests as it may"
    except OutOfBounds as error:
        note = str(error)
    seen = tuple(scene.line.exchanges[start:])
    answers = {}
    for key in question.decides:
        answer = found.get(key, "")
        whole = answer if isinstance(answer, Answer) else Answer(answer)
        answers[key] = Answer(whole.value, whole.note or ("" if whole.value else note), whole.seen or seen)
    return answers


def _state(question: Question, answers: Mapping[str, Answer]) -> str:
    """Return `ready`, `senseless` if an answer makes the question moot, or `waiting`."""
    state = "ready"
    for key, values in question.needs.items():
        answer = answers.get(key)
        if answer is not None and answer.is_decided and values and answer.value not in values:
            return "senseless"
        if answer is None or not answer.is_decided:
            state = "waiting"
    return state


def _because(question: Question, answers: Mapping[str, Answer]) -> str:
    """Return why a question was not asked."""
    for key, values in question.needs.items():
        answer = answers.get(key, Answer())
        if not answer.is_decided:
            return f"it needs to know {key}"
        if values and answer.value not in values:
            return f"{key}: {answer.value}"
    return ""
