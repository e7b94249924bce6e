"""`make contract-diff OTHER=swagger.json`: compare openapi.yaml with another OpenAPI or Swagger file.

openapi.yaml stands in for the vendor's own file, which is not public. When that file comes, this package says what
differs, how well our side was known, and what breaks callers.
"""
