"""Odd tables, with what a person who reads them would expect."""
