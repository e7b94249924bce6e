# Made by `make generate` from wrapper/payex_billing/_async/__init__.py: edit that file.
"""`Billing` and what it consists of: the client, its route helpers, and what runs its calls."""
