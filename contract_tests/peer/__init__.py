"""A second server of the contract, written from openapi.yaml alone: a check of the contract suite, not a product."""
