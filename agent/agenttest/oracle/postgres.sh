#!/bin/sh
# Starts a PostgreSQL 15 of Debian's that keeps nothing, and prints the DSN for ORACLE_PG
# and the process id of who ends it. It installs PostgreSQL if it has to.
set -eu
bin=/usr/lib/postgresql/15/bin
if ! [ -x $bin/postgres ]; then
  apt-get update -qq >&2
  apt-get install -y -qq postgresql-15 postgresql-contrib >&2
fi
port=${1:-54329}
dir=$(mktemp -d)
as=
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  chown nobody "$dir"
  as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
fi
$as $bin/initdb -D "$dir/data" -U root -E UTF8 --locale=C -A trust >/dev/null
$as $bin/pg_ctl -D "$dir/data" -w -l "$dir/log" \
  -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c fsync=off -c timezone=UTC -c max_prepared_transactions=10" start >/dev/null
echo "ORACLE_PG=postgres://root@127.0.0.1:$port/postgres"
echo "ORACLE_PG_PID=$(head -n 1 "$dir/data/postmaster.pid")"
