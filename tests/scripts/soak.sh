#!/bin/bash
# Whether the agent stays as it is under work that does not end (bench/soak.py): SOAK_MINUTES=60 at
# SOAK_RATE=5000 requests a second.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

[ -x target/release/obi ] || die "no target/release/obi: run 'make build' first"
[ "$(id -u)" = 0 ] || die "obi attaches eBPF programs: run the soak as root"
tests/scripts/apps.sh

export PYTHONDONTWRITEBYTECODE=1
say "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), kernel $(uname -r), $(nginx -v 2>&1), $(nproc) CPUs"
python3 tests/scripts/bench/soak.py target/release/obi target/apps/sink
