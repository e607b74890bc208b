#!/bin/bash
# Builds target/release/obi and proves that it needs no library of the host.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# --target is given although it is this machine's: without it the flags would reach procedural
# macros and build scripts too, and those cannot be static.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
	cargo build --release --bin obi --target "$TARGET"
install -D -m 755 "target/$TARGET/release/obi" target/release/obi

if readelf --program-headers target/release/obi | grep -q INTERP; then
	die "target/release/obi asks for a dynamic loader: $(ldd target/release/obi | tr -s '\n\t' ' ')"
fi
say "target/release/obi: static, $(stat -c %s target/release/obi) bytes"
