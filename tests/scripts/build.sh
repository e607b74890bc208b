#!/bin/bash
# Builds obi and proves that it needs no library of the host: build.sh [TARGET]
#
# For this machine the result is target/release/obi. For another one (aarch64-unknown-linux-gnu) it
# stays target/TARGET/release/obi; Debian's cross compiler is taken.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

target=${1:-$TARGET}
obi=target/$target/release/obi
use_linker_of "$target"

# --target is given although it may be this machine's: without it the flags would reach procedural
# macros and build scripts too, and those cannot be static.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
	cargo build --release --bin obi --target "$target"
if [ "$target" = "$TARGET" ]; then
	install -D -m 755 "$obi" target/release/obi
	obi=target/release/obi
fi

if readelf --program-headers "$obi" | grep -q INTERP; then
	die "$obi asks for a dynamic loader: $(readelf --dynamic "$obi" | grep NEEDED | tr -s '\n' ' ')"
fi
say "$obi: static, $(stat -c %s "$obi") bytes"
