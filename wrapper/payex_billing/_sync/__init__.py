# Made by `make generate` from wrapper/payex_billing/_async/__init__.py: edit that file.
"""The code of `Billing`: the client, its route helpers, and the code that runs its calls."""
