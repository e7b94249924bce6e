"""Run every probe and the model against the mock: in process, over a socket, and over TLS with a client certificate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from payex_billing_mock import MockServer

from contract_tests.api import Api, NotTried
from contract_tests.certificates import Certificates
from contract_tests.faults import plant
from contract_tests.probes import PROBES, Probe
from contract_tests.suite import LEDGERS, open_api, run_model
from contract_tests.support import LONG, MODEL, PLANTED
from contract_tests.transports import InProcess, OverHttp

# A connection changes little, so only what it can change runs over TLS, and over a socket in `make contract`.
WIRES = ["in process", "over a socket", "over TLS"] if LONG else ["in process", "over TLS"]
OF_CONNECTIONS = {"tenants and credentials", "status and headers"}
CASES = [
    pytest.param(wire, probe, id=f"{wire}-{probe.name}")
    for wire in WIRES
    for probe in PROBES
    if wire == "in process" or probe.family in OF_CONNECTIONS or probe.name.endswith("_at_once_are_all_kept")
]


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    if request.param == "in process":
        yield open_api(InProcess(plant(PLANTED, LEDGERS)))
        return
    certificates = Certificates(tmp_path_factory.mktemp("tls")) if request.param == "over TLS" else None
    server = MockServer(LEDGERS, tls=certificates.server if certificates else None)
    server.app = plant(PLANTED, LEDGERS)
    with server:
        transport = OverHttp(server.url, certificates.context() if certificates else None)
        yield open_api(transport)
        transport.close()


@pytest.mark.parametrize(("api", "probe"), CASES, indirect=["api"], scope="module")
def test_probe(api: Api, probe: Probe) -> None:
    try:
        probe(api)
    except NotTried as reason:  # the contract does not have what the probe needs
        pytest.skip(str(reason))


@pytest.mark.parametrize("api", WIRES, indirect=True, scope="module")
def test_reads_are_as_the_model_has_it(api: Api, request: pytest.FixtureRequest) -> None:
    examples = MODEL.max_examples if isinstance(api.transport, InProcess) else MODEL.max_examples // 5
    seed = request.config.getoption("hypothesis_seed", None)
    run_model(api, int(seed or 0), settings(MODEL, max_examples=examples))
