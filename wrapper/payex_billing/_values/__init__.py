"""Values as the contract has them: their checks, JSON and dicts."""
