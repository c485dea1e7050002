"""Runs the services of temporal-dev.yml on a bare machine, and a demonstration on top of them."""
