"""Faults planted in copies of the project, to see that its tests and its soak catch them."""
