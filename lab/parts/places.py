"""The place of the project."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
"""Top folder of the project."""
