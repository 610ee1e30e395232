#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own: .ci/with-postgres.sh COMMAND [ARGUMENT]...
#
# The server lives in a temporary directory, listens on a free loopback port, and is gone when the
# command ends, however it ends. The command finds it in EXEQUATUR_TEST_POSTGRES_URL; the user of
# that URL may create databases. PostgreSQL refuses to run as root, so root becomes `postgres`.
set -euo pipefail

# Ports below Linux's ephemeral range, so that no outgoing connection holds one.
readonly PORT_FIRST=20000 PORT_COUNT=10000 START_ATTEMPTS=10
# Tests run side by side, each with a pool of its own.
readonly CONNECTIONS_MAX=200

say() { printf '%s\n' "postgres: $*" >&2; }

binaries=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
if [[ -z $binaries ]]; then
    say "no server below /usr/lib/postgresql: run \`make test\`, or install the package postgresql"
    exit 1
fi

as_server() {
    if [[ $(id -u) -eq 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi
}

directory=$(mktemp -d "${TMPDIR:-/tmp}/exequatur-postgres.XXXXXXXX")

stop() {
    local code=$?
    as_server "$binaries/pg_ctl" stop -D "$directory/data" -m immediate -s 2>/dev/null || true
    rm -rf -- "$directory"
    exit "$code"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

[[ $(id -u) -ne 0 ]] || chown -R postgres "$directory"

# The server's user may not be able to read the directory this was called from.
caller=$PWD
cd "$directory"
# Whoever is on this machine may come in: the databases hold what tests make up.
as_server "$binaries/initdb" -D "$directory/data" -U exequatur -E UTF8 --locale=C.UTF-8 \
    --auth=trust --no-sync >"$directory/initdb.log"

# fsync is off: what the tests ask of this server is its behaviour, not its survival of a power cut.
start() {
    as_server "$binaries/pg_ctl" start -D "$directory/data" -w -s -l "$directory/data/server.log" -o \
        "-c listen_addresses=127.0.0.1 -c port=$1 -c unix_socket_directories='' \
         -c max_connections=$CONNECTIONS_MAX -c fsync=off" 2>/dev/null
}

port=
for ((attempt = 1; attempt <= START_ATTEMPTS; attempt++)); do
    candidate=$((PORT_FIRST + RANDOM % PORT_COUNT))
    if start "$candidate"; then
        port=$candidate
        break
    fi
done
if [[ -z $port ]]; then
    say "did not start after $START_ATTEMPTS attempts; its log:"
    cat "$directory/data/server.log" >&2 || true
    exit 1
fi

cd "$caller"
export EXEQUATUR_TEST_POSTGRES_URL="postgres://exequatur@127.0.0.1:$port/postgres"
"$@"
