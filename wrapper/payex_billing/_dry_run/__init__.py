"""Record writes in place of sending them."""
