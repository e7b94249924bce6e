"""`make change-cost`: count the files that a maintainer must edit by hand after a correction of openapi.yaml.

We do not have the vendor's own OpenAPI file, so parts of openapi.yaml are inferred. This package has a list of likely
corrections. For each correction, it copies the project, corrects openapi.yaml in the copy and generates the client
there. Then it runs a smoke test, the demo, the type checkers and the probes of the contract suite in the copy.
docs/change-cost.md has the results.
"""
