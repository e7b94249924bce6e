"""Find out what an API does where `openapi.yaml` only infers it: ask, keep the evidence, correct the contract."""
