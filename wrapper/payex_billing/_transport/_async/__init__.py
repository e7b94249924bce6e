"""The built-in transports of `AsyncBilling`."""
