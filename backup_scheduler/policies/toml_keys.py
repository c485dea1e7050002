"""Names as keys of TOML, for hints that people copy into the policy file."""

import json
import re

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def key(name: str) -> str:
    """Return the name as a bare key where TOML allows that, else as a basic string."""
    if _BARE.fullmatch(name):
        return name
    # TOML has all escapes of JSON. DEL is the only character that JSON leaves as it is and TOML refuses.
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")


def policy_table(name: str) -> str:
    """Return the header of a policy's table in the policy file."""
    return f"[policies.{key(name)}]"
