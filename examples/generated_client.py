"""The generated client by itself, without the wrapper.

    python examples/generated_client.py BASE_URL LEDGER TOKEN

It sends what you tell it to and returns what came back, errors included: no retries, no typed errors, no checks.
"""

from __future__ import annotations

import sys

from payex_billing_client import AuthenticatedClient
from payex_billing_client.api.customers import create_customer, get_customer
from payex_billing_client.api.recurring_products import create_customer_recurring_product
from payex_billing_client.models import Customer, NewCustomer, NewRecurringProduct, Problem, RecurringProduct


def main(base_url: str, ledger: str, token: str) -> None:
    with AuthenticatedClient(base_url=base_url, token=token) as client:
        created = create_customer.sync(ledger, client=client, body=NewCustomer(customer_no="15615616"))
        assert isinstance(created, Customer)
        print("created", created.customer_no, "at", created.id)

        charge = NewRecurringProduct(product_code="P01", quantity=1, unit_price=499.00)
        added = create_customer_recurring_product.sync(ledger, "15615616", client=client, body=charge)
        assert isinstance(added, RecurringProduct)
        print("added", added.product_code, added.unit_price)

        missing = get_customer.sync_detailed(ledger, "nobody", client=client)
        assert isinstance(missing.parsed, Problem)  # an error is returned, not raised
        print("problem", missing.parsed.status, missing.parsed.type_)


if __name__ == "__main__":
    main(*sys.argv[1:4])
