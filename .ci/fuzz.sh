#!/usr/bin/env bash
# Every fuzz target for a minute: .ci/fuzz.sh [SECONDS] [TARGET...]. Needs a nightly toolchain and
# a C++ compiler. What is found stays in target/fuzz/corpus, so the next run starts from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DIR=sim/fuzz OUT=target/fuzz

# Longest inputs: a little above the largest token that is read; any form; a whole region's file.
declare -rA LENGTH_MAX=([jws]=16500 [form]=8192 [config]=12288)

say() { printf '%s\n' "fuzz: $*" >&2; }

fuzz() {
    local command=$1
    shift
    cargo +nightly fuzz "$command" --fuzz-dir "$DIR" --target-dir "$OUT/build" "$@"
}

check_tools() {
    if ! cargo +nightly --version >/dev/null 2>&1; then
        say 'the sanitizers need a nightly toolchain: rustup toolchain install nightly --profile minimal'
        return 1
    fi
    if ! command -v c++ >/dev/null; then
        say 'libFuzzer is built from C++ and there is no c++: apt-get install g++'
        return 1
    fi
    # Its own lock file, because it is no member; the versions are the workspace's all the same.
    if ! cargo metadata --locked --format-version 1 --manifest-path "$DIR/Cargo.toml" >/dev/null; then
        say "$DIR/Cargo.lock is behind the workspace's dependencies. Mend it with:"
        say "  cp Cargo.lock $DIR/ && cargo fetch --manifest-path $DIR/Cargo.toml"
        return 1
    fi
}

# The words of the configuration's schemas, one in quotes a line, are a dictionary as they stand.
write_dictionary() {
    local target=$1
    if [[ $target == config ]]; then
        grep -ohE '"[A-Za-z][A-Za-z0-9_.:/-]{0,40}"' region-configs/*.schema.json | sort -u
    else
        cat "$DIR/dictionaries/$target.dict"
    fi >"$OUT/$target.dict"
}

copy_seeds() {
    local target=$1 corpus=$OUT/corpus/$1 file
    mkdir -p "$corpus"
    cp "$DIR/seeds/$target"/* "$corpus/"
    if [[ $target == config ]]; then
        cp region-configs/*.toml "$corpus/"
        for file in federation/testdata/config/*/region.toml; do
            cp "$file" "$corpus/$(basename "$(dirname "$file")").toml"
        done
    fi
}

run() {
    local target=$1 seconds=$2
    if [[ -z ${LENGTH_MAX[$target]:-} ]]; then
        say "$target: say in .ci/fuzz.sh how long its inputs may be"
        return 1
    fi
    write_dictionary "$target"
    copy_seeds "$target"
    fuzz run "$target" "$OUT/corpus/$target" -- -max_total_time="$seconds" \
        -max_len="${LENGTH_MAX[$target]}" -dict="$OUT/$target.dict" \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
}

seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
check_tools
.ci/install.sh fuzz
mkdir -p "$OUT"
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir "$DIR")
fi
if [[ ${#targets[@]} -eq 0 ]]; then
    say "no target found in $DIR"
    exit 1
fi
fuzz build
for target in "${targets[@]}"; do
    say "$target for $seconds s"
    run "$target" "$seconds"
done
