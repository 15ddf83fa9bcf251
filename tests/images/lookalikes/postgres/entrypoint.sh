#!/bin/bash
# On an empty volume, creates the database and runs the files in /docker-entrypoint-initdb.d. Then starts the server.
set -euo pipefail
case "${1:-}" in
  '' | -*) set -- postgres "$@" ;;
  postgres) ;;
  *) exec "$@" ;;
esac
export POSTGRES_USER=${POSTGRES_USER:-postgres} POSTGRES_DB=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?is not set: the password of $POSTGRES_USER}"
  # shellcheck disable=SC2086 # a list of options
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
  export PGPASSWORD=$POSTGRES_PASSWORD
  [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) bash "$file" ;;
      *.sql) psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --file "$file" "$POSTGRES_DB" ;;
    esac
  done
  unset PGPASSWORD
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
exec "$@" -c listen_addresses='*'
