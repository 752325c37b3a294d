# A temporary PostgreSQL cluster for the tests, on a port of 127.0.0.1.

# Prints the folder with initdb and pg_ctl; Debian keeps them out of the search path.
postgres_programs() {
  local initdb
  for initdb in "$(command -v initdb || true)" $(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -Vr); do
    if [ -x "$initdb" ] && [ -x "$(dirname "$initdb")/pg_ctl" ]; then
      dirname "$initdb"
      return
    fi
  done
  return 1
}

# It refuses to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    runuser -u postgres -- "$@"
  else
    "$@"
  fi
}

start_postgres() {
  postgres_bin=$(postgres_programs)
  postgres_home=$(mktemp -d /tmp/signpost-postgres.XXXXXX)
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$postgres_home"; fi
  cd "$postgres_home"
  as_postgres "$postgres_bin/initdb" --pgdata="$postgres_home/data" --username=postgres --auth=trust \
    --encoding=UTF8 --locale=C --no-sync >/dev/null
  # Prefer one port: another value of SIGNPOST_TEST_POSTGRES compiles the tests again.
  local port
  for port in 25432 $((20000 + RANDOM % 12000)) $((20000 + RANDOM % 12000)) $((20000 + RANDOM % 12000)); do
    if as_postgres "$postgres_bin/pg_ctl" start --silent --wait --pgdata="$postgres_home/data" \
      --log="$postgres_home/log" --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300"; then
      cd "$root"
      export SIGNPOST_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
      echo "listening on port $port"
      return
    fi
    echo "port $port did not work, trying another"
  done
  cat "$postgres_home/log" >&2
  return 1
}

stop_postgres() {
  if [ -z "${postgres_home:-}" ]; then return; fi
  cd "$root"
  as_postgres "$postgres_bin/pg_ctl" stop --silent --mode=immediate --pgdata="$postgres_home/data" || true
  rm -rf "$postgres_home"
}
