"""The smoke test: run the public API of the wrapper against the mock, in a separate process.

    python -m tools.change_cost.smoke EXPECTATIONS.json RESULT.json

A proxy between the wrapper and the mock records every request and response. After the last step, the judge checks them
against the contract. Each step gets one status:

- `ok`: every value is right, and every request and response keeps to the contract.
- `failed`: an exception was raised, or the mock breaks the contract.
- `different`: the wrapper gave a wrong value or sent a wrong request, and nothing raised before that. The page calls
  this silently wrong.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from .correction import Expectations
from .judge import Judge
from .proxy import RecordingProxy
from .smoke_scene import CLEARS, EXTRA, LEDGER, TOKEN, Smoke, Step, titled

MOST_MESSAGES = 12


def first_line(error: BaseException) -> str:
    """Return an exception as one line, with the file and line outside this package where it was raised."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if "change_cost" not in frame.filename]
    place = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {text[:300]}{place}"


def run_step(smoke: Smoke, name: str, step: Callable[[Smoke], None]) -> Step:
    """Run a step and return it with its status."""
    smoke.step = Step(name)
    smoke.proxy.step = name
    smoke.proxy.lose.clear()
    try:
        step(smoke)
    except Exception as error:  # noqa: BLE001 - any exception is a result of the step
        # If a value was wrong before this exception, the step stays `different`: nothing had raised for that value.
        smoke.step.status = "failed" if smoke.step.status == "ok" else smoke.step.status
        smoke.step.messages.append(first_line(error))
    return smoke.step


def judge_traffic(judge: Judge, proxy: RecordingProxy, steps: list[Step]) -> None:
    """Check the recorded requests and responses against the contract, and update the steps that sent them."""
    by_name = {step.name: step for step in steps}
    for each in proxy.recorded:
        step = by_name.get(each.step)
        if step is None:
            continue
        wrong = judge.request(each.method, each.target, titled(each.headers), each.body, EXTRA)
        if each.step == CLEARS:
            wrong = [fault for fault in wrong if not fault.endswith("by leaving it out")]
        faults = judge.response(
            each.method, each.target, each.status, titled(each.response_headers), each.response_body
        )
        for message in [f"request: {fault}" for fault in wrong] + [f"mock: {fault}" for fault in faults]:
            if message not in step.messages:
                step.messages.append(message)
        if step.status == "ok" and (wrong or faults):
            step.status = "different" if wrong else "failed"


def write(steps: list[Step], path: Path) -> None:
    """Write the steps and their results to a JSON file."""
    for step in steps:
        step.messages = step.messages[:MOST_MESSAGES]
    path.write_text(json.dumps([asdict(step) for step in steps], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run all steps and write the results; return 0 if every step is ok, otherwise 1."""
    expect = Expectations.from_dict(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    judge = Judge.of(Path("openapi.yaml"))
    steps: list[Step] = []
    try:
        import payex_billing  # noqa: PLC0415
        from payex_billing_mock import MockServer  # noqa: PLC0415

        here = str(Path.cwd())
        assert str(payex_billing.__file__).startswith(here), "the wrapper is not the copy's"
        assert str(sys.modules["payex_billing_mock"].__file__).startswith(here), "the mock is not the copy's"
        from .smoke_steps import STEPS  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder, MockServer({LEDGER: TOKEN}) as server:
            os.environ["XDG_STATE_HOME"] = folder
            with RecordingProxy(server.url) as proxy:
                smoke = Smoke(expect, judge, proxy, proxy.url, Path(folder))
                for name, run in STEPS.items():
                    # Written before each step: if the step never ends, the file names that step.
                    write([*steps, Step(name, "failed", ["did not end within the time limit"])], Path(arguments[1]))
                    steps.append(run_step(smoke, name, run))
                smoke.billing.close()
        judge_traffic(Judge.of(Path("openapi.yaml")), proxy, steps)
    except Exception as error:  # noqa: BLE001
        steps.append(Step("start", "failed", [first_line(error)]))
    write(steps, Path(arguments[1]))
    for step in steps:
        print(f"{step.status:9} {step.name}", *step.messages, sep="\n          ")
    return 0 if all(step.status == "ok" for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
