"""`AsyncBilling` and what it consists of: the client, its route helpers, and what runs its calls."""
