#!/usr/bin/env bash
# Makes the namespace, which a new cluster does not have. Closed runs are kept for 90 days.
set -euo pipefail

temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
    temporal operator namespace create --namespace default --retention 90d
