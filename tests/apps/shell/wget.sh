#!/bin/sh
# wget: wget.sh BASE PLAN asks for what the file PLAN says (tests/host/reach/mod.rs).
#
# One process for each run of GETs, over one connection; one for each other request.
set -eu
base=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Runs wget and prints a line for each answer, from what wget says about them and what it kept.
ask() { # ask METHOD BYTES-SENT URL... [OPTION...]
	verb=$1 sent=$2
	shift 2
	wget --no-proxy --tries=1 --no-verbose --content-on-error --server-response \
		--force-directories --directory-prefix="$scratch" "$@" 2>"$scratch/said" || [ $? = 8 ]
	awk '/^ *HTTP\/1/ { print $2 }' "$scratch/said" >"$scratch/statuses"
	for url; do
		case $url in --*) continue ;; esac
		read -r status
		file=$scratch/${url#http://}
		bytes=0
		[ ! -f "$file" ] || bytes=$(stat -c %s "$file")
		echo "$verb ${url#"$base"} $status $bytes $sent 0 0"
	done <"$scratch/statuses"
}

urls=
while read -r method path size how; do
	if [ "$method $how" = "GET keep" ]; then
		urls="$urls $base$path"
		continue
	fi
	# shellcheck disable=SC2086
	[ -z "$urls" ] || ask GET 0 $urls
	urls=
	head -c "$size" /dev/zero >"$scratch/body"
	case $method in
	GET) ask GET 0 "$base$path" --no-http-keep-alive ;;
	HEAD) ask HEAD 0 "$base$path" --method=HEAD ;;
	*) ask "$method" "$size" "$base$path" --method="$method" --body-file="$scratch/body" ;;
	esac
done <"$2"
# shellcheck disable=SC2086
[ -z "$urls" ] || ask GET 0 $urls
