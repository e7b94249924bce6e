"""Visit every schedule of some writers: every order of their operations, with up to so many faults.

A state is the time, the charges, the database and the position of each writer in its history. States that are equal are
visited once. The schedules are the paths through the graph of the states, from the begin to an end; they are counted,
not walked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from typing import Any, Final, NamedTuple, TypeGuard

import attrs

from .backend import Charges, Late, answer, identity
from .database import LOST, Database
from .digest import TIMES
from .process import End, Machine, Node, Operation, Query, Request, Sleep, rounded, virtual
from .writers import (
    LOST_REPLY,
    NEVER_SENT,
    POLL,
    SETTLE,
    Job,
    Writer,
    begin_run,
    bodies,
    scheduler,
    small_numbers,
    webhook,
)

SLOW: Final = 1.0  # seconds that an operation can take without a fault
START: Final = TIMES
_AFTER_ALL: Final = START + 1000.0  # the time of the next night, long after everything has settled
_MOMENT: Final = 0.001
BAD_GATEWAY: Final = 502, b"<html>"


class Wrong(AssertionError):
    """A charge is doubled or lost, or the journal says something wrong; the text has the schedule."""


class At(NamedTuple):
    """A writer in a state.

    Attributes:
        node: its history.
        since: when it asked for its operation.
        until: until when it is stopped.
        reply: the reply that it has not read yet; None if its operation was not done yet.
    """

    node: Node
    since: float
    until: float = 0.0
    reply: Any = None


class Moment(NamedTuple):
    """A state of everything.

    Attributes:
        time: seconds since the begin.
        charges: what the server holds.
        database: the number of the state of the database.
        writers: the writers.
        owed: None by day; in the night after it, whether the event must be delivered again.
    """

    time: float
    charges: Charges
    database: int
    writers: tuple[At, ...]
    owed: bool | None = None


class Step(NamedTuple):
    """A step from one state to another.

    Attributes:
        number: the writer; -1 for none.
        what: what happens.
        operation: to which operation.
        after: the state after it.
        is_fault: whether it is a fault.
    """

    number: int
    what: str
    operation: Operation | None
    after: Moment
    is_fault: bool = False


@attrs.frozen(kw_only=True)
class Scenario:
    """What is explored.

    Attributes:
        job: what the writers want.
        writers: makes the writers.
        faults: how many faults a schedule may have.
        pauses: seconds for which a fault stops a writer.
        lost: the reply in place of a lost response: a word, or a status and a body.
        busy: seconds between two tries of a webhook to get the right to write.
        kills_only: whether every fault is a kill.
    """

    job: Job
    writers: tuple[Writer, ...]
    faults: int
    pauses: tuple[float, ...] = ()
    lost: Any = LOST_REPLY
    busy: float = POLL
    kills_only: bool = False


@attrs.define
class Found:
    """What an exploration has visited.

    Attributes:
        states: different states.
        steps: steps from one state to another.
        ends: different states in which everything has ended.
        histories: different histories of single writers, each a run of the real code.
        schedules: paths from the first state to an end with at most the given number of faults.
    """

    states: int
    steps: int
    ends: int
    histories: int
    schedules: int


@attrs.define
class _Graph:
    """The states that were visited, by number.

    Attributes:
        numbers: the number of each state.
        free: the states that follow without a fault.
        faulty: the states that follow with a fault.
        reached: how each state was reached: from which one, and by which step.
    """

    numbers: dict[Moment, int] = attrs.field(factory=dict)
    free: list[list[int]] = attrs.field(factory=list)
    faulty: list[list[int]] = attrs.field(factory=list)
    reached: list[tuple[int, Step] | None] = attrs.field(factory=list)

    def number(self, moment: Moment, reached: tuple[int, Step] | None) -> int:
        """Return the number of a state."""
        number = self.numbers.setdefault(moment, len(self.reached))
        if number == len(self.reached):
            self.free.append([])
            self.faulty.append([])
            self.reached.append(reached)
        return number

    def told(self, number: int) -> str:
        """Return the schedule that has led to a state, in words."""
        lines: list[str] = []
        while (reached := self.reached[number]) is not None:
            number, step = reached
            lines.append(_told(step))
        return "\n".join(lines[::-1])

    def schedules(self, first: int, faults: int) -> int:
        """Count the paths from a state to an end with at most so many faults.

        Raises:
            Wrong: without a fault, it may never end.
        """
        order = self._order()
        counts = [0] * len(self.free)
        for _ in range(faults + 1):
            before, counts = counts, [0] * len(self.free)
            for number in order:
                free = sum(counts[each] for each in self.free[number]) if self.free[number] else 1
                counts[number] = free + sum(before[each] for each in self.faulty[number])
        return counts[first]

    def _order(self) -> list[int]:
        """Return the states, each after those that follow it without a fault."""
        order: list[int] = []
        state = bytearray(len(self.free))  # 1: on the path, 2: done
        for root in range(len(self.free)):
            if state[root]:
                continue
            state[root] = 1
            stack = [(root, iter(self.free[root]))]
            while stack:
                number, following = stack[-1]
                for each in following:
                    if state[each] == 1:
                        raise Wrong(f"it may never end:\n{self.told(number)}")
                    if not state[each]:
                        state[each] = 1
                        stack.append((each, iter(self.free[each])))
                        break
                else:
                    stack.pop()
                    state[number] = 2
                    order.append(number)
        return order


class Explorer:
    """Visits all schedules of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._database = Database()
        self._roots: dict[tuple[int, str, float], Node] = {}
        self._tokens: dict[Node, int] = {}
        self._ended: dict[tuple[int, Hashable], At] = {}
        self._night = scheduler(scenario.job, fresh=False)
        job = scenario.job
        self._kept = len(job.held)
        codes = {*job.rows, *job.held, job.event} - {""}
        wanted = {code: max(job.rows.count(code), job.held.count(code), int(job.event == code)) for code in codes}
        self._wanted = {body: count for code, count in wanted.items() for body in bodies([code])}

    def run(self) -> Found:
        """Visit everything.

        Raises:
            Wrong: a schedule goes wrong.
        """
        ran = Node.ran
        with virtual(), small_numbers(self._scenario.busy):
            graph, steps = self._walk()
        schedules = graph.schedules(0, self._scenario.faults)
        ends = sum(not following for following in graph.free)
        return Found(len(graph.reached), steps, ends, Node.ran - ran, schedules)

    def _first(self) -> Moment:
        charges = Charges(bodies(self._scenario.job.held))
        moment = Moment(START, charges, self._database.empty, ())
        node = Node(begin_run, Machine("begin"), START)
        while isinstance(node.operation, Query):
            rows, database = self._database.run(moment.database, node.operation.statements, START)
            moment, node = moment._replace(database=database), node.after(rows, START)
        moment = moment._replace(writers=tuple(At(node, START) for _ in self._scenario.writers))
        for number in range(len(self._scenario.writers)):
            moment = self._begun(moment, number)
        return moment

    # writers

    def _begun(self, moment: Moment, number: int) -> Moment:
        """Start a process of a writer. It has another name than one that may still have a lease."""
        holders = {str(holder) for (holder,) in self._database.rows(moment.database, "SELECT holder FROM lease")}
        names = (f"{'AB'[number]}{life}" for life in range(9))
        name = next(name for name in names if not any(f":{name}." in holder for holder in holders))
        return self._placed(moment, number, At(self._root(number, moment.time, name), moment.time))

    def _root(self, number: int, began: float, name: str) -> Node:
        """Return a process that has just begun."""
        root = self._roots.get((number, name, 0.0)) or self._roots.get((number, name, began))
        if root is None:
            machine = Machine(name, (300.0, -300.0)[number], 16.0 * number)
            root = Node(self._scenario.writers[number], machine, began)
            self._roots[number, name, began if root.has_time else 0.0] = root
        return root

    def _placed(self, moment: Moment, number: int, at: At) -> Moment:
        """Put a writer in its place; what nobody can notice is done at once."""
        database, node = moment.database, at.node
        while isinstance(node.operation, Query) and node.operation.is_quiet:
            rows, database = self._database.run(database, node.operation.statements, moment.time)
            node = node.after(rows, moment.time)
        at = at._replace(node=node)
        if isinstance(node.operation, End):
            at = self._ended.setdefault((number, node.operation.outcome), At(node, START))
        elif isinstance(node.operation, Sleep) and not at.until:
            until = rounded(moment.time + node.operation.seconds)
            at = At(node, until, until)
        writers = (*moment.writers[:number], at, *moment.writers[number + 1 :])
        return moment._replace(writers=writers, database=database)

    def _read(self, moment: Moment, number: int, reply: Any) -> Moment:
        """Let a writer go on with a reply."""
        node = moment.writers[number].node
        following = node.after(reply, moment.time)
        self._tokens.setdefault(following, max(self._tokens.get(node, 0), _token(node.operation, reply)))
        return self._placed(moment, number, At(following, moment.time))

    def _token_of(self, at: At) -> int:
        token = self._tokens.get(at.node, 0)
        return token if at.reply is None else max(token, _token(at.node.operation, at.reply))

    def _plain(self, moment: Moment) -> Moment:
        """Return a state without what nobody can notice any more; at the first time, if no writer remembers a time."""
        now, ahead = moment.time, moment.time - START
        if not ahead or moment.owed is not None or any(at.node.has_time for at in moment.writers):
            return moment._replace(database=self._database.at(moment.database, now))
        late = tuple(each._replace(before=each.before - ahead) for each in moment.charges.late)
        writers = tuple(
            at if isinstance(at.node.operation, End)
            else at._replace(since=at.since - ahead, until=at.until and at.until - ahead)
            for at in moment.writers
        )  # fmt: skip
        database = self._database.at(moment.database, now, ahead)
        return Moment(START, moment.charges._replace(late=late), database, writers)

    # the walk

    def _walk(self) -> tuple[_Graph, int]:
        """Visit the states that need no fault, then those that need one, and so on.

        A state is visited with the most faults left with which it can be reached: with fewer left, less can follow.
        """
        graph = _Graph()
        steps = 0
        first = self._first()
        graph.number(first, None)
        entered = [first]
        visited = bytearray()
        for left in range(self._scenario.faults, -1, -1):
            stack, entered = entered, []
            while stack:
                moment = stack.pop()
                number = graph.numbers[moment]
                visited.extend(bytes(len(graph.reached) - len(visited)))
                if visited[number]:
                    continue
                visited[number] = 1
                try:
                    for step in self._steps(moment, left > 0 and moment.owed is None):
                        steps += 1
                        after = self._plain(step.after)
                        following = graph.number(after, (number, step._replace(after=moment)))
                        (graph.faulty if step.is_fault else graph.free)[number].append(following)
                        (entered if step.is_fault else stack).append(after)
                except Wrong as wrong:
                    raise Wrong(f"{wrong}\n{graph.told(number)}") from None
        return graph, steps

    def _steps(self, moment: Moment, may_fail: bool) -> Iterator[Step]:
        """Yield every step from a state."""
        for late in dict.fromkeys(moment.charges.late):
            charges = moment.charges.arrived(late)
            yield Step(-1, "a late write takes effect", None, self._judged(moment._replace(charges=charges)))
        if all(isinstance(at.node.operation, End) for at in moment.writers):
            if not moment.charges.late:
                yield from self._after(moment)
            return
        for number, at in enumerate(moment.writers):
            yield from self._steps_of(moment, number, at, may_fail)
        yield from self._time(moment)

    def _time(self, moment: Moment) -> Iterator[Step]:
        now = moment.time
        following = []
        latest = min((late.before for late in moment.charges.late), default=math.inf)
        for at in moment.writers:
            if at.until > now:
                following.append(at.until)
            elif not isinstance(at.node.operation, End):
                latest = min(latest, at.since + SLOW + _MOMENT)
        if following and min(following) < latest:
            yield Step(-1, "time passes", None, moment._replace(time=min(following)))

    def _steps_of(self, moment: Moment, number: int, at: At, may_fail: bool) -> Iterator[Step]:
        operation = at.node.operation
        if at.until > moment.time or isinstance(operation, End):
            return
        if at.reply is not None:
            yield Step(number, "reads the reply to", operation, self._read(moment, number, at.reply))
        elif isinstance(operation, Sleep):
            yield Step(number, "wakes", None, self._read(moment, number, ()))
        else:
            done, reply = self._done(moment, operation)
            yield Step(number, "does", operation, self._read(done, number, reply))
            if may_fail:
                for what, after in self._kills(moment, number, operation):
                    yield Step(number, what, operation, after, is_fault=True)
                if not self._scenario.kills_only:
                    for what, after in self._failures(moment, done, reply, number, at):
                        yield Step(number, what, operation, after, is_fault=True)

    def _done(self, moment: Moment, operation: Query | Request) -> tuple[Moment, Any]:
        """Do an operation; return its reply."""
        if isinstance(operation, Query):
            token = max(map(self._token_of, moment.writers)) if _takes_token(operation) else 0
            rows, database = self._database.run(moment.database, operation.statements, moment.time, token)
            return moment._replace(database=database), rows
        if operation.deadline < moment.time:
            return moment, NEVER_SENT
        charges, status, body = answer(moment.charges, operation)
        return self._judged(moment._replace(charges=charges)), (status, body)

    def _postponed(self, moment: Moment, request: Request) -> Moment:
        assert request.body is not None
        late = Late(moment.time + SETTLE, request.body)
        return moment._replace(charges=moment.charges.postponed(late))

    def _kills(self, moment: Moment, number: int, operation: Operation) -> Iterator[tuple[str, Moment]]:
        """Yield the states after a kill of the writer at an operation.

        A kill after an operation has the same effect as a kill before the next operation of the writer.
        """
        yield "is killed before", self._begun(moment, number)
        if _is_open_post(operation, moment.time):
            late = self._postponed(moment, operation)
            yield "is killed, and the server is late with", self._begun(late, number)

    def _failures(self, moment: Moment, done: Moment, reply: Any, number: int, at: At) -> Iterator[tuple[str, Moment]]:
        """Yield the states after every other fault at an operation."""
        operation = at.node.operation
        is_query = isinstance(operation, Query)
        lost = LOST if is_query else self._scenario.lost
        yield "is cut off after", self._read(done, number, lost)
        if is_query or _is_open_post(operation, moment.time):
            yield "is cut off before", self._read(moment, number, lost)
        if _is_open_post(operation, moment.time):
            late = self._postponed(moment, operation)
            yield "is cut off, and the server is late with", self._read(late, number, lost)
            yield "cannot connect for", self._read(moment, number, NEVER_SENT)
        for pause in self._scenario.pauses:
            until = moment.time + pause
            stopped = at._replace(since=until, until=until)
            yield f"is stopped for {pause:g} s before", self._placed(moment, number, stopped)
            yield f"is stopped for {pause:g} s after", self._placed(done, number, stopped._replace(reply=reply))

    # the end

    def _after(self, moment: Moment) -> Iterator[Step]:
        """Go on with the next night when the day has ended: a calm run, and the event again if it failed."""
        if moment.owed is None:
            self._judge_journal(moment)
            outcomes: list[Any] = [at.node.operation.outcome for at in moment.writers]  # type: ignore[union-attr]
            failed = any(outcome[0] == "failed" for outcome in outcomes)
            database = self._database.aged(moment.database)
            night = self._later("night", self._night)
            yield Step(-1, "the next night", None, Moment(_AFTER_ALL, moment.charges, database, (night,), failed))
        elif moment.owed:
            again = self._later("again", webhook(self._scenario.job))
            yield Step(-1, "the event comes again", None, self._placed(moment._replace(owed=False), 0, again))
        else:
            self._judge_end(moment)

    def _later(self, name: str, writer: Writer) -> At:
        key = -1, name, 0.0
        if key not in self._roots:
            self._roots[key] = Node(writer, Machine(name), _AFTER_ALL)
        return At(self._roots[key], _AFTER_ALL)

    def _judged(self, moment: Moment) -> Moment:
        """Return the state, if no charge is doubled."""
        body = moment.charges.bodies[-1] if moment.charges.bodies else b""
        if moment.charges.bodies.count(body) > self._wanted.get(body, 0):
            raise Wrong("doubled")
        return moment

    def _judge_journal(self, moment: Moment) -> None:
        """Compare what the journal says with what the server holds."""
        writes = self._database.rows(moment.database, "SELECT result, charge FROM write")
        claimed = [charge for result, charge in writes if result in {"done", "created"}]
        new = {identity(position) for position in range(self._kept, len(moment.charges.bodies))}
        if len(set(claimed)) < len(claimed):
            raise Wrong("the journal gives one charge to two writes")
        if not new.issuperset(claimed):
            raise Wrong("the journal has a charge that is not there, or was there before")
        if len(new) - len(claimed) > sum(result is None for result, _ in writes):
            raise Wrong("the journal has no write for a charge")
        query = "SELECT 1 FROM customer WHERE failed IS NULL"
        if self._database.rows(moment.database, query) and not self._has_rows(moment):
            raise Wrong("lost: the run says that a row was applied, and its charge is not there")

    def _has_rows(self, moment: Moment) -> bool:
        held = moment.charges.bodies
        rows = bodies(self._scenario.job.rows)
        return all(held.count(body) >= rows.count(body) for body in rows)

    def _judge_end(self, moment: Moment) -> None:
        held = moment.charges.bodies
        for body, count in self._wanted.items():
            if held.count(body) < count:
                raise Wrong("lost")
        if self._database.rows(moment.database, "SELECT 1 FROM write WHERE result IS NULL"):
            raise Wrong("undecided: a creation is open after the next night")
        if self._database.rows(moment.database, "SELECT 1 FROM customer WHERE failed IS NOT NULL"):
            raise Wrong("undecided: a row has failed in the next night")
        self._judge_journal(moment)


def _is_open_post(operation: Operation, now: float) -> TypeGuard[Request]:
    return isinstance(operation, Request) and operation.method == "POST" and operation.deadline >= now


def _takes_token(operation: Operation) -> bool:
    return isinstance(operation, Query) and any("nextval(" in statement for statement in operation.statements)


def _token(operation: Operation, reply: Any) -> int:
    """Return the number of the lease in a reply; 0 if there is none."""
    if not isinstance(operation, Query) or reply == LOST:
        return 0
    taken = [rows for statement, rows in zip(operation.statements, reply, strict=True) if "nextval(" in statement]
    return max((int(rows[0][0]) for rows in taken if rows), default=0)


def _told(step: Step) -> str:
    who = "" if step.number < 0 else f"{'AB'[step.number]} "
    what = "" if step.operation is None else f" {_brief(step.operation)}"
    return f"{step.after.time - START:9.3f} {who}{step.what}{what}"


def _brief(operation: Operation) -> str:
    match operation:
        case Query(statements):
            return "; ".join(re.sub(r"\s+", " ", statement)[:150] for statement in statements)
        case Request(method, _, body):
            return f"{method} {'' if body is None else body.decode()}"
    return ""
