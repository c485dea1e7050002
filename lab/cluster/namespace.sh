#!/usr/bin/env bash
# Makes the namespace, which a new cluster does not have. Closed runs are kept for 90 days. With rights it makes the
# search attributes, too: a worker's token does not let it make them.
set -euo pipefail

temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
    temporal operator namespace create --namespace default --retention 90d

if [[ -n "${TEMPORAL_API_KEY:-}" ]]; then
    names=(--name BackupSchedulerId --name BackupPolicyName --name BackupOutcome --name BackupTerms)
    types=(--type Keyword --type Keyword --type Keyword --type Keyword)
    # The namespace is known to all parts of the server some seconds after it was made.
    until temporal operator search-attribute create --namespace default "${names[@]}" "${types[@]}" >/dev/null 2>&1; do
        sleep 0.5
    done
fi
