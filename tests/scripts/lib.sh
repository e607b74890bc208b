# Sourced by the scripts beside it: where things are, and how to speak.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What the scripts fetch goes here; ignored by git, removed by `make clean-deps`.
DEPS=${OBI_DEPS:-$ROOT/.deps}
TARGET=$(uname -m)-unknown-linux-gnu
# Built on any machine by `make build-arm64`.
ARM64_TARGET=aarch64-unknown-linux-gnu

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

# Cargo's linker for another machine's target. Crates that compile C find the compiler themselves.
use_linker_of() { # use_linker_of TARGET
	local name=${1^^}
	[ "$1" = "$TARGET" ] || export "CARGO_TARGET_${name//-/_}_LINKER=${1%%-*}-linux-gnu-gcc"
}

# Builds a test binary and prints where it is.
test_binary() { # test_binary TARGET NAME
	local binary
	binary=$(cargo test --target "$1" --test "$2" --no-run --message-format=json |
		grep -o '"executable":"[^"]*/'"$2"'-[^"]*"' | tail -n 1 | cut -d'"' -f4)
	[ -x "$binary" ] || die "the test binary $2 was not built"
	echo "$binary"
}

# The Go that builds tests/collector: the first that is as new as its go.mod wants.
collector_go() {
	local go wanted have
	wanted=$(awk '$1 == "go" { print $2 }' "$ROOT/tests/collector/go.mod")
	for go in go "$DEPS/venv/bin/go"; do
		have=$("$go" env GOVERSION 2>/dev/null) || continue
		if printf '%s\n' "$wanted" "${have#go}" | sort -CV; then
			echo "$go"
			return
		fi
	done
	return 1
}
