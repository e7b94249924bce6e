"""A stateful mock of the PayEx Billing Customer API, written against `openapi.yaml` alone.

The mock shares no code with the client, so that tests against the mock can find errors in the client. `create_app`
returns an ASGI application, `MockServer` serves the mock on a real socket, and `python -m payex_billing_mock` serves
the mock from the command line.
"""

try:
    from .app import MockApp, create_app
    from .contract import Contract, ContractError, build_contract, load_contract
    from .faults import Fault, Faults
    from .resources import Collection, Resource
    from .server import MockServer
    from .store import Store
    from .streams import Tls
except ModuleNotFoundError as error:
    if error.name not in {"granian", "h11", "jsonschema_rs", "yaml"}:
        raise
    message = "payex_billing_mock needs an extra: pip install 'payex-billing[mock]'"
    raise ModuleNotFoundError(message, name=error.name) from error

__all__ = [
    "Collection",
    "Contract",
    "ContractError",
    "Fault",
    "Faults",
    "MockApp",
    "MockServer",
    "Resource",
    "Store",
    "Tls",
    "build_contract",
    "create_app",
    "load_contract",
]
