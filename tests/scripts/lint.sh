#!/bin/bash
# Formats and lints that fail the build: rustfmt, clippy, clang-format, and clang over the eBPF
# objects for every architecture, whichever this one is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# Compiles bpf/*.bpf.c for one architecture as build.rs does: lint_bpf ARCH LIBBPF-HEADERS
lint_bpf() {
	local arch source
	case $1 in
	x86_64) arch=x86 ;;
	aarch64) arch=arm64 ;;
	*) die "no libbpf name for the architecture $1" ;;
	esac
	for source in bpf/*.bpf.c; do
		"${CLANG:-clang-19}" --config bpf/clang.cfg -D__TARGET_ARCH_$arch \
			-I bpf -I "vmlinux/$1" -I "$2" -c "$source" -o /dev/null
	done
}

cargo fmt --check
# The build script of libbpf-sys says where it put libbpf's headers.
headers=$(cargo clippy --quiet --all-targets --target "$TARGET" \
	--message-format=json-render-diagnostics -- -D warnings |
	grep -o '"out_dir":"[^"]*/libbpf-sys-[^"]*"' | tail -n 1 | cut -d'"' -f4)/include
for folder in vmlinux/*/; do
	lint_bpf "$(basename "$folder")" "$headers"
done
# vmlinux.h is generated and lies outside bpf/.
find bpf tests -name '*.[ch]' -print0 | xargs -0 clang-format-19 --dry-run -Werror
say "lint: rustfmt, clippy, clang-format and clang agree"
