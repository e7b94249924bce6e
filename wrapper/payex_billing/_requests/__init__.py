"""The requests of the contract's operations, and the reading of their responses."""
