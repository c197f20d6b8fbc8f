#!/bin/sh
# What the official entry point does with the variables that the stack sets.
set -eu
mkdir -p "$PGDATA" /run/postgresql
chown postgres:postgres "$PGDATA" /run/postgresql
chmod 700 "$PGDATA"
become="setpriv --reuid=postgres --regid=postgres --init-groups"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    $become initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    $become pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") $become createdb -h /run/postgresql -U "$POSTGRES_USER" "$POSTGRES_DB" \
        || [ "$POSTGRES_DB" = postgres ]
    $become pg_ctl -D "$PGDATA" -w -m fast stop
fi
exec $become postgres -D "$PGDATA" -c listen_addresses='*'
