#!/usr/bin/env bash
# Makes Temporal's two databases and brings their tables up to date; the tables are inside temporal-sql-tool, which also
# reads SQL_* variables. It is silent unless something fails.
set -euo pipefail
said=$(mktemp)
trap 'rm -f "$said"' EXIT

tool() {
    if ! temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" -p 5432 -u temporal --tls \
        --tls-ca-file "$SQL_TLS_CA_FILE" --tls-server-name "$SQL_TLS_SERVER_NAME" --db "$@" >"$said" 2>&1; then
        cat "$said"
        return 1
    fi
}

for database in temporal temporal_visibility; do
    if ! psql --host="$SQL_HOST" --username=temporal --dbname="$database" --command='' >/dev/null 2>&1; then
        tool "$database" create
        tool "$database" setup-schema -v 0.0
    fi
done
tool temporal update-schema --schema-name postgresql/v12/temporal
tool temporal_visibility update-schema --schema-name postgresql/v12/visibility
