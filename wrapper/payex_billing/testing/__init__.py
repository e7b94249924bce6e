"""For the tests of programs that use this package: PayEx Billing in process, or on a socket, with faults on purpose.

With pytest the fixtures `payex_mock` and `payex_server` are there as soon as the package is installed. Both point the
`PAYEX_*` environment variables to themselves, so that a program under test needs no change:

    def test_a_new_subscriber_is_billed(payex_mock):
        my_program.handle({"event": "subscribed", "customer": "15615616"})
        assert payex_mock.charges("15615616") == [Charge(product_code="P01", quantity=1)]

Every request is checked against the contract, so a test cannot pass on a shape that the API would refuse. Needs the
extra `mock`.
"""

from ._double import LEDGER, ORIGIN, TOKEN, ClientOptions, PayexMock, PayexServer, Request

__all__ = ["LEDGER", "ORIGIN", "TOKEN", "ClientOptions", "PayexMock", "PayexServer", "Request"]
