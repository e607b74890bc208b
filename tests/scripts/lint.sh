#!/bin/bash
# Formats and lints that fail the build: rustfmt, clippy, clang-format.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

cargo fmt --check
cargo clippy --quiet --all-targets --target "$TARGET" -- -D warnings
# vmlinux.h is generated and lies outside bpf/.
find bpf tests -name '*.[ch]' -print0 | xargs -0 clang-format-19 --dry-run -Werror
say "lint: rustfmt, clippy and clang-format agree"
