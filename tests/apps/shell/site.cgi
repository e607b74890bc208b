#!/bin/sh
# What a server of files cannot answer by itself: /chunks/N, /stream/N, /echo/N
# (tests/host/reach/mod.rs).
printf 'Content-Type: text/plain\r\n\r\n'
pieces() {
	for _ in $(seq "$1"); do
		head -c "$2" /dev/zero
	done
}
case $REQUEST_URI in
/chunks/*) pieces 3 100 ;;
/stream/*) pieces 200 1000 ;;
*) cat ;;
esac
