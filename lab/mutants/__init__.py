"""A mutation run: one changed node of the product at a time, to see whether the tests of its module notice."""
