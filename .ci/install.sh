#!/usr/bin/env bash
# Installs what is missing and leaves the rest alone: .ci/install.sh WHAT...
# - packages: Debian packages that the tests need (root or sudo, only when something is missing)
# - shellcheck: the linter of the scripts in .ci
# - nextest, deny, fuzz: cargo subcommands
# - python: .venv with the pinned packages of node/tests/third-party/python
# - javascript: node_modules with the locked packages of node/tests/third-party/js
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PYTHON_DIR=node/tests/third-party/python
readonly JAVASCRIPT_DIR=node/tests/third-party/js

say() { printf '%s\n' "install: $*" >&2; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "root or sudo is needed for: $*"
        return 1
    fi
}

apt_install() {
    [[ $# -gt 0 ]] || return 0
    if ! command -v apt-get >/dev/null; then
        say "this is not Debian: install what Debian calls $*"
        return 1
    fi
    say "Debian packages $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v make >/dev/null || missing+=(make)
    [[ -e /usr/lib/softhsm/libsofthsm2.so ]] && command -v softhsm2-util >/dev/null ||
        missing+=(softhsm2)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    command -v ip >/dev/null && command -v tc >/dev/null || missing+=(iproute2)
    command -v curl >/dev/null || missing+=(curl)
    command -v nft >/dev/null || missing+=(nftables)
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)
    apt_install "${missing[@]}"
}

install_shellcheck() {
    command -v shellcheck >/dev/null || apt_install shellcheck
}

# Built once into cargo's own bin directory. Any version that is there already will do.
install_cargo_subcommand() {
    local package=$1@$2
    command -v "$1" >/dev/null && return
    say "$package (a few minutes, once)"
    cargo install --locked --quiet "$package"
}

# The copy of the requirements beside the packages says what they were installed from.
install_python() {
    local wanted=$PYTHON_DIR/requirements.txt
    cmp -s "$wanted" .venv/requirements.txt && return
    say "Python packages in .venv"
    python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --no-deps --requirement "$wanted"
    cp "$wanted" .venv/requirements.txt
}

install_javascript() {
    local wanted=$JAVASCRIPT_DIR/package-lock.json installed=$JAVASCRIPT_DIR/node_modules/.lock
    cmp -s "$wanted" "$installed" && return
    say "JavaScript packages in $JAVASCRIPT_DIR/node_modules"
    npm ci --prefix "$JAVASCRIPT_DIR" --ignore-scripts --silent >/dev/null
    cp "$wanted" "$installed"
}

for what in "$@"; do
    case $what in
        packages) install_packages ;;
        shellcheck) install_shellcheck ;;
        nextest) install_cargo_subcommand cargo-nextest 0.9.151 ;;
        deny) install_cargo_subcommand cargo-deny 0.20.2 ;;
        fuzz) install_cargo_subcommand cargo-fuzz 0.13.2 ;;
        python) install_python ;;
        javascript) install_javascript ;;
        *)
            say "unknown: $what"
            exit 2
            ;;
    esac
done
