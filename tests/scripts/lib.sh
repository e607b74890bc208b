# Sourced by the scripts beside it: where things are, and how to speak.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What the scripts fetch goes here; ignored by git, removed by `make clean-deps`.
DEPS=${OBI_DEPS:-$ROOT/.deps}
TARGET=$(uname -m)-unknown-linux-gnu

say() { echo "== $*" >&2; }

die() {
	echo "error: $*" >&2
	exit 1
}

# Test binaries that need root and a kernel; every other one is of the unit tier.
LIVE_TESTS=()
for name in host kernel; do
	[ ! -e "$ROOT/tests/$name/main.rs" ] || LIVE_TESTS+=("$name")
done
