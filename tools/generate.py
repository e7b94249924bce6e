"""`make generate` and `make check-generated`: write or check all generated files of this repository.

From openapi.yaml: the generated client, the contract table and docs/provenance.md. From `_async/`: the blocking client.

The new client replaces the old client only after every step has succeeded.

Exit codes: 0 files written or up to date; 1 generated files are out of date, or nothing can be generated from the
contract, or the wrapper does not fit the contract.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import contract_table
import provenance
import twins
import yaml

PACKAGE = "payex_billing_client"
STAMP = "_generated.json"
TABLE = Path("wrapper/payex_billing/_contract.py")
PAGE = Path("docs/provenance.md")
EVIDENCE = Path("docs/evidence.jsonl")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast as the Python loader


class GenerationError(Exception):
    """The client cannot be generated from the contract; the message gives the reason."""


def main() -> int:
    """Generate the files, or with --check compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the result would differ")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help=argparse.SUPPRESS)
    options = parser.parse_args()
    root: Path = options.root.resolve()
    # The temporary folder is on the same file system as the old client, so that the replacement is a plain rename.
    with tempfile.TemporaryDirectory(dir=root / "generated_client", prefix=".new-") as beside:
        try:
            # The generator runs while this thread validates the contract. A fault of the contract is reported first.
            with ThreadPoolExecutor(1) as meanwhile:
                generating = meanwhile.submit(generate, root, Path(beside))
                contract = read_contract(root / "openapi.yaml")
                blocking = twins.render(root)
                evidence = provenance.read_evidence(root / EVIDENCE)
                client = generating.result()
            texts = {
                PAGE: provenance.render(contract, evidence),
                TABLE: _formatted(contract_table.render(contract)),
            } | blocking
        except (GenerationError, provenance.ProvenanceError, contract_table.TableError, twins.TwinError) as error:
            print(f"{error}\nNothing was changed.", file=sys.stderr)
            return 1
        if options.check:
            return check(root, client, texts)
        replace(client, root / "generated_client" / PACKAGE)
        for path, text in texts.items():
            _write_if_changed(root / path, text)
        for path in twins.stale(root, texts):
            (root / path).unlink()
    print(f"generated_client/{PACKAGE}, {TABLE} and {PAGE} are made from openapi.yaml.")
    print("Each _sync/ of the wrapper is made from the _async/ beside it.")
    return _check_wrapper(root)


def _check_wrapper(root: Path) -> int:
    """Import the wrapper; if the import fails, print why the wrapper no longer fits the contract.

    Returns:
        The exit code.
    """
    folders = os.pathsep.join(str(root / each) for each in ("wrapper", "generated_client"))
    result = subprocess.run(
        [sys.executable, "-c", "import payex_billing._requests.operations, payex_billing.config"],
        env=os.environ | {"PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return 0
    reason = result.stderr.strip().rpartition("\n")[2]
    print(f"The wrapper does not fit the contract any more: {reason}", file=sys.stderr)
    return 1


def read_contract(path: Path) -> dict[str, object]:
    """Read and validate the contract."""
    from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415 - slow: the generator runs meanwhile
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        contract = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GenerationError(f"openapi.yaml cannot be read: {error}") from error
    if not isinstance(contract, dict):
        raise GenerationError("openapi.yaml is not an OpenAPI document: it has no properties")
    try:
        faults = [
            f"  at {'/'.join(map(str, fault.absolute_path)) or 'the top'}: {fault.message}"
            for fault in OpenAPIV31SpecValidator(contract).iter_errors()
        ]
    except Unresolvable as error:
        faults = [f"  {error.ref} is referred to, but is not there"]
    if faults:
        raise GenerationError("openapi.yaml is not valid OpenAPI 3.1:\n" + "\n".join(faults[:10]))
    return contract


def generate(root: Path, beside: Path) -> Path:
    """Generate the client in the folder `beside` and return the client's path."""
    client = beside / PACKAGE
    environment = os.environ | {"NO_COLOR": "1"}
    renamed, source = _without_collisions(root / "openapi.yaml", beside)
    result = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", str(source), "--config", str(root / "generator-config.yml")),
            *("--output-path", str(client)),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise GenerationError(f"openapi-python-client refused the contract:\n{result.stdout}{result.stderr}".rstrip())
    _restore_names(client, renamed)
    _import_at_module_level(client)
    _use_httpx2(client)
    _format(client)
    (client / "py.typed").touch()
    stamp = {
        "contract_sha256": _sha256(root / "openapi.yaml"),
        "config_sha256": _sha256(root / "generator-config.yml"),
        "openapi-python-client": version("openapi-python-client"),
        "ruff": version("ruff"),
    }
    (client / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    return client


def _without_collisions(contract: Path, beside: Path) -> tuple[dict[str, dict[str, str]], Path]:
    """Rename a property whose Python name another property has, such as `@id` beside `id`, to its name in `x-sdk`.

    The generator omits a schema with two properties of one Python name, and has no option for the name of a property.

    Returns:
        By schema, the old names by the new ones, and the file to generate from.
    """
    try:
        document = yaml.load(contract.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
        schemas = dict(document["components"]["schemas"])
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return {}, contract  # `read_contract` says what is wrong
    renamed: dict[str, dict[str, str]] = {}
    for name, schema in schemas.items():
        properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
        plain = {each for each in properties if each.isidentifier()}
        for old, node in properties.items():
            new = (node.get("x-sdk") or {}).get("name") if isinstance(node, dict) else None
            if old not in plain and re.sub(r"\W", "", old) in plain and new and new not in properties:
                renamed.setdefault(name, {})[new] = old
    if not renamed:
        return {}, contract
    for name, names in renamed.items():
        schema, new_of = schemas[name], {old: new for new, old in names.items()}
        properties = {new_of.get(key, key): value for key, value in schema["properties"].items()}
        required = [new_of.get(key, key) for key in schema.get("required", [])]
        document["components"]["schemas"][name] = {**schema, "properties": properties, "required": required}
    source = beside / "openapi.yaml"
    source.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return renamed, source


def _restore_names(client: Path, renamed: Mapping[str, Mapping[str, str]]) -> None:
    """Put the contract's names back into the generated models, where `_without_collisions` renamed them."""
    for schema, names in renamed.items():
        path = client / "models" / (re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", schema).lower() + ".py")
        text = path.read_text(encoding="utf-8")
        for new, old in names.items():
            text = text.replace(f'"{new}"', json.dumps(old))
        path.write_text(text, encoding="utf-8")


def _import_at_module_level(client: Path) -> None:
    """Remove the imports inside functions of the generated models.

    The generator puts imports inside functions to avoid circular imports. Each such import costs time in every call.
    Our models have no circular imports. If a new contract adds one, `import payex_billing_client` fails at once.
    """
    for path in (client / "models").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r" +from .+ # noqa: PLC0415\n+", "", text), encoding="utf-8")


def _use_httpx2(client: Path) -> None:
    """Import httpx2, the maintained continuation of httpx, under the name that the generated code uses.

    The last release of httpx is from December 2024. httpx2 has the same interface. The generator has no option for
    another library, so the import is replaced afterwards.
    """
    for path in client.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"^import httpx$", "import httpx2 as httpx", text, flags=re.MULTILINE), encoding="utf-8")


def _format(client: Path) -> None:
    """Tidy the generated code with the pinned ruff.

    The rules are listed here, and --isolated ignores all configuration files: another ruff version or setting would
    change the generated types. TC006 quotes the types in `cast`: without quotes, Python builds these types in
    every call.
    """
    ruff = str(Path(sys.executable).with_name("ruff"))
    rules = ("--select", "F401,I,TC004,TC005,TC006", "--fix-only", "--unsafe-fixes")
    for command in (("check", *rules), ("format", "--line-length", "120")):
        result = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", "--quiet", str(client)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise GenerationError(f"ruff {command[0]} failed on the generated code:\n{result.stdout}{result.stderr}")


def replace(new: Path, old: Path) -> None:
    """Replace the old client by the new client; if that fails, restore the old client."""
    aside = new.with_name(old.name + ".old")
    if old.exists():
        old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        if aside.exists():
            aside.rename(old)
        raise


def _formatted(source: str) -> str:
    """Return Python source, formatted by ruff."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    result = subprocess.run(
        [ruff, "format", "--line-length", "120", "--isolated", "--no-cache", "--quiet", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise GenerationError(f"ruff format failed on {TABLE}:\n{result.stdout}{result.stderr}")
    return result.stdout


def check(root: Path, client: Path, texts: Mapping[Path, str]) -> int:
    """Compare the committed files with newly generated ones, print the differences, and return the exit code."""
    differences = _differences(client, root / "generated_client" / PACKAGE)
    for path, text in texts.items():
        committed = root / path
        if not committed.is_file() or committed.read_text(encoding="utf-8") != text:
            differences.append(str(path))
    differences += map(str, twins.stale(root, texts))
    if not differences:
        print(f"The generated client, {TABLE} and {PAGE} agree with openapi.yaml.")
        print("Each _sync/ of the wrapper agrees with the _async/ beside it.")
        return 0
    listed = "\n".join(f"  {name}" for name in differences[:20])
    print(
        f"Generated files differ from openapi.yaml or _async/:\n{listed}\nRun `make generate` and commit.",
        file=sys.stderr,
    )
    return 1


def _differences(expected: Path, actual: Path) -> list[str]:
    names = {
        str(path.relative_to(top))
        for top in (expected, actual)
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    _, different, missing = filecmp.cmpfiles(expected, actual, sorted(names), shallow=False)
    return [f"generated_client/{PACKAGE}/{name}" for name in sorted([*different, *missing])]


def _write_if_changed(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
