"""Change each place of each response of the mock, one at a time, and count how many changes the suite notices.

The faults of `contract_tests/faults` are the ideas of their authors. These mutants need no idea: `recording.py` records
what the mock responds to the probes and the model, `mutants.py` names every place of every kind of response and changes
it, `freedoms.py` leaves out what the contract allows, and `trial.py` finds out who notices the rest.
"""
