#!/usr/bin/env bash
# Every fuzz target for a minute: .ci/fuzz.sh [SECONDS]. Needs a nightly toolchain.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
.ci/install.sh fuzz
mapfile -t targets < <(cargo +nightly fuzz list)
if [[ ${#targets[@]} -eq 0 ]]; then
    printf '%s\n' 'fuzz: no target found in fuzz/' >&2
    exit 1
fi
for target in "${targets[@]}"; do
    cargo +nightly fuzz run "$target" -- -max_total_time="$seconds"
done
