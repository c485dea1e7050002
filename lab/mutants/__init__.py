"""A mutation run: one changed node of the product at a time, to see whether the tests of its module notice.

Two libraries do the like. mutmut forks each trial from a process that has run the tests; the threads of Temporal's SDK
do not survive that. cosmic-ray has one command for all mutants, so each would run all tests; and it changes neither
texts nor arguments.
"""
