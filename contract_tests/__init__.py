"""The contract suite: what `openapi.yaml` promises, tried on the mock or on a real endpoint."""
