# Made by `make generate` from wrapper/payex_billing/_transport/_async/__init__.py: edit that file.
"""The built-in transports of `Billing`."""
