"""Policy files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_policies(file: Path, policies: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a policy file; JSON of texts, numbers and lists of texts is TOML too."""
    lines = []
    for name, fields in policies.items():
        lines.append(f"[policies.{name}]")
        lines += [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
    file.write_text("\n".join(lines) + "\n")
    return file
