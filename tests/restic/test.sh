#!/usr/bin/env bash
# Runs the tests of the restic engine with releases of restic that Debian does not have yet, built from their Go modules
# (two minutes each, once). Options go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

for module in tests/restic/*/; do
    version=$(basename "$module")
    programs=$(.venv/bin/python -m lab.parts.go_tools "$module")
    echo "test-restic: restic $version"
    PATH="$programs:$PATH" RESTIC_VERSION=$version .venv/bin/python -m pytest -n 2 -q \
        tests/activities/restic tests/faults/test_worker_killed.py "$@"
done
