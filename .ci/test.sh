#!/usr/bin/env bash
# All tests: .ci/test.sh [NEXTEST ARGUMENT]... What is missing is installed first. Doc tests come
# before the others, so that the last lines are nextest's summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=default
[[ ${CI:-} != true ]] || profile=ci

.ci/install.sh packages nextest python javascript
cargo test --quiet --workspace --doc
.ci/with-postgres.sh cargo nextest run --workspace --profile "$profile" "$@"
