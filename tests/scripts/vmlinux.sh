#!/bin/bash
# Writes vmlinux/ARCH/vmlinux.h, the pinned kernel types: vmlinux.sh ARCH   (x86_64 aarch64)
#
# x86_64 is dumped from the running kernel; aarch64 from Debian's kernel of series 6.12, on any
# machine: its image is not compressed, so that the BTF lies in it as it is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# The BTF blob of a kernel image: a header of 24 bytes (magic, version, flags, its own length, then
# offset and length of the types and of the strings behind them).
cut_btf() { # cut_btf IMAGE
	python3 -c '
import struct, sys

image = open(sys.argv[1], "rb").read()
at = -1
while (at := image.find(bytes.fromhex("9feb010018000000"), at + 1)) >= 0:
    types_at, types, strings_at, strings = struct.unpack_from("<4I", image, at + 8)
    if types_at == 0 and strings_at == types:
        sys.stdout.buffer.write(image[at : at + 24 + types + strings])
        sys.exit()
sys.exit("no BTF in " + sys.argv[1] + ": is the image compressed?")
' "$1"
}

case ${1:-} in
x86_64)
	btf=/sys/kernel/btf/vmlinux
	origin="the running kernel $(uname -r)"
	;;
aarch64)
	KERNEL_ARCH=arm64 "$ROOT/tests/scripts/kernels.sh" 6.12
	kernel=$DEPS/kernels/6.12-arm64
	btf=$kernel/btf
	cut_btf "$kernel/vmlinuz" >"$btf"
	origin="kernel $(cat "$kernel/version")"
	;;
*) die "usage: vmlinux.sh ARCH   (x86_64 aarch64)" ;;
esac

header=vmlinux/$1/vmlinux.h
mkdir -p "$(dirname "$header")"
bpftool btf dump file "$btf" format c >"$header"
say "$header: $origin, by $(bpftool version | head -n 1); say so in vmlinux/README.md"
