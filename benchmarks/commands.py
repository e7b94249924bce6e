"""What it costs to start `payex-billing`, beside a click command that says hello."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, side_by_side

TEXT = "CPU of a process from its start to its end. The goal is 1.5 × a click hello-world with a group and one command."
HELLO = """
import click

@click.group()
def main(): "Say hello."

@main.command()
def hello():
    click.echo("hello")

main()
"""
ROUNDS = 15


def measure() -> list[Row]:
    """The rows of this section."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "hello.py"
        script.write_text(HELLO, encoding="utf-8")
        program = str(Path(sys.executable).with_name("payex-billing"))
        subjects = {
            "click hello": lambda: _cpu(sys.executable, str(script), "--help"),
            "payex-billing --help": lambda: _cpu(program, "--help"),
            "payex-billing version": lambda: _cpu(program, "version"),
        }
        goals = {"payex-billing --help": 1.5, "payex-billing version": 1.5}
        return side_by_side(subjects, "ms", goals, base="click hello", rounds=ROUNDS)


def _cpu(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1_000
