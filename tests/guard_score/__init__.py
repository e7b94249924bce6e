"""`make guard-score`: how many human errors the guards stop before the first write, and how many honest nights.

The companies, their nights and the errors are made by code that does not use the guards or their limits. Each night
is a CSV file that is read, compared with a simulated ledger, and judged, as `apply` does.
"""
