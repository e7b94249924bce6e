"""The code of `AsyncBilling`: the client, its route helpers, and the code that runs its calls."""
