#!/bin/bash
# Unpacks stock Debian kernels for the VM tests: kernels.sh SERIES...   (5.10 6.1 6.12 7.2)
#
# Result: <deps>/kernels/SERIES/{vmlinuz,version,lib/modules/RELEASE}. Nothing is installed: apt
# runs on a source list, package lists and a cache of our own. Archives move, so each series is
# the newest one its Debian suite has, and the exact version is printed. Signatures are checked
# with Debian's keyring.
#
# KERNEL_ARCH=arm64 (a Debian architecture) takes another machine's kernels, which go to
# <deps>/kernels/SERIES-arm64.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

ARCH=${KERNEL_ARCH:-$(dpkg --print-architecture)}

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

suite_of() {
	case $1 in
	5.10) echo bullseye ;;
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	7.2) echo sid ;;
	*) die "no Debian suite is known for kernel series $1 (5.10, 6.1, 6.12, 7.2 are)" ;;
	esac
}

# The mirror this machine's own apt uses for Debian (override: OBI_DEBIAN_MIRROR).
mirror() {
	if [ -n "${OBI_DEBIAN_MIRROR:-}" ]; then
		echo "$OBI_DEBIAN_MIRROR"
		return
	fi
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
		sort -u | head -n 1
}

apt_own() { # apt_own DIR COMMAND ARGS...: apt on the files under DIR only
	local dir=$1 command=$2
	shift 2
	"$command" -qq \
		-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/none" \
		-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root \
		-o APT::Architecture="$ARCH" -o APT::Architectures="$ARCH" "$@"
}

prepare_apt() { # prepare_apt DIR SUITE
	local dir=$1 suite=$2 uri
	uri=$(mirror)
	[ -n "$uri" ] || die "apt knows no Debian mirror: run 'apt-get update' or set OBI_DEBIAN_MIRROR"
	mkdir -p "$dir/none" "$dir/state/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	echo "deb [signed-by=$KEYRING] $uri $suite main" >"$dir/sources.list"
	apt_own "$dir" apt-get update
}

# The packages that hold the kernel image and its modules: what the meta package leads to, down
# to those that carry files (7.2 splits them in linux-binary-… and linux-modules-…).
kernel_packages() { # kernel_packages DIR
	apt_own "$1" apt-cache depends --recurse --important "linux-image-$ARCH" |
		grep -oE '^linux-(image|binary|modules)-[0-9][^ ]*' | grep -v -- '-cloud-' | sort -u
}

unpack() { # unpack SERIES
	local series=$1 suite dir out version release
	suite=$(suite_of "$series")
	out=$(kernel_dir "$series")
	if [ -s "$out/version" ] && [ -z "${REFRESH:-}" ]; then
		say "kernel $series: $(cat "$out/version") (unpacked earlier)"
		return
	fi
	dir=$DEPS/apt/$(basename "$out")
	rm -rf "$out" "$dir"
	mkdir -p "$out" "$dir/debs"
	say "kernel $series: fetching Debian $suite's package into $out (nothing is installed)"
	prepare_apt "$dir" "$suite"
	local packages
	packages=$(kernel_packages "$dir")
	[ -n "$packages" ] || die "Debian $suite has no kernel package"
	# shellcheck disable=SC2086
	(cd "$dir/debs" && apt_own "$dir" apt-get download $packages)
	local deb
	for deb in "$dir"/debs/*.deb; do
		dpkg-deb -x "$deb" "$out"
	done
	merge_usr "$out"
	release=$(basename "$(ls -d "$out"/lib/modules/*/)")
	case $release in
	"$series".*) ;;
	*) die "Debian $suite has kernel $release now, not $series" ;;
	esac
	cp "$(image_of "$out" "$release")" "$out/vmlinuz"
	# Debian ships no modules.order or modules.builtin here: depmod says so and goes on.
	depmod -b "$out" "$release" 2>/dev/null
	version=$(dpkg-deb -f "$(ls "$dir"/debs/*.deb | head -n 1)" Version)
	echo "$release (Debian $version)" >"$out/version"
	say "kernel $series: $(cat "$out/version")"
	rm -rf "$dir"
}

kernel_dir() { # kernel_dir SERIES
	local foreign=-$ARCH
	[ "$ARCH" != "$(dpkg --print-architecture)" ] || foreign=
	echo "$DEPS/kernels/$1$foreign"
}

image_of() { # image_of DIR RELEASE
	local image
	for image in "$1/boot/vmlinuz-$2" "$1/lib/modules/$2/vmlinuz"; do
		if [ -f "$image" ]; then
			echo "$image"
			return
		fi
	done
	die "no kernel image of $2 under $1"
}

merge_usr() { # newer packages ship under usr/; one place for both
	[ -d "$1/usr/lib/modules" ] || return 0
	mkdir -p "$1/lib"
	mv "$1/usr/lib/modules" "$1/lib/modules"
}

[ $# -gt 0 ] || die "usage: kernels.sh SERIES...   (5.10 6.1 6.12 7.2)"
for series in "$@"; do
	unpack "$series"
done
