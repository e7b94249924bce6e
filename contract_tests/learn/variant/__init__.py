"""A server whose behaviour is drawn at random, to prove that `learn` finds out what a server does.

It shares no code with what it proves: it reads no contract, and imports neither `learn` nor the mock.
"""
