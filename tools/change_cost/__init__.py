"""`make change-cost`: what a correction of openapi.yaml costs, counted in files that somebody must edit by hand.

The vendor's own description of the API is missing, so parts of openapi.yaml are inferred. This package applies
corrections that the vendor's file may ask for, each to a copy of the project, generates the client there, and runs a
smoke test, the demo, the type checkers and the contract suite's probes. docs/change-cost.md has the results.
"""
