"""Runs a whole stack under load while killing its parts, then audits that nothing was lost and nothing ran twice."""
