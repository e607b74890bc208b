#!/bin/bash
# What obi shows of a small system: nginx, a Python server that calls it, ten seconds of traffic.
#
# Spans are printed as they happen, the ledger at the end. Ctrl-C ends everything at any moment.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SECONDS_OF_TRAFFIC=${DEMO_SECONDS:-10}

[ -x "$ROOT/target/release/obi" ] || die "no target/release/obi: run 'make build' first"
[ "$(id -u)" = 0 ] || die "obi attaches eBPF programs: run the demo as root"

dir=$(mktemp -d)
pids=() # our own processes, the last one started first

# Every way out leads here, once: ours end, in reverse order, obi first and gently.
clean_up() {
	trap '' INT TERM
	local pid
	for pid in "${pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in "${pids[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND…: in the background, deaf to the terminal's Ctrl-C, its output in a file.
start() {
	local name=$1
	shift
	(trap '' INT && exec "$@") >"$dir/$name.log" 2>&1 </dev/null &
	pids=("$!" "${pids[@]}")
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null
}

await() { # await PORT NAME
	local tries=100
	while ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || die "$2 does not listen: $(tail -n 5 "$dir/$2.log")"
		sleep 0.1
	done
}

# One span a line, those of the demo only: a host may have traffic of its own.
ours() {
	grep --line-buffered -E ":($web|$shop)\]"
}

web=$(free_port)
shop=$(free_port)

cat >"$dir/nginx.conf" <<CONF
daemon off;
user root;
worker_processes 1;
pid $dir/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	server {
		listen 127.0.0.1:$web;
		location /stock/ { return 200 "in stock\n"; }
		location / { return 404 "no such page\n"; }
	}
}
CONF

start nginx nginx -c "$dir/nginx.conf" -e stderr
await "$web" nginx
start python python3 "$ROOT/tests/apps/python/threaded.py" "$shop" "http://127.0.0.1:$web/stock"
await "$shop" python
say "nginx listens on $web, a Python server that calls it on $shop"

say "obi, with no configuration at all:"
(trap '' INT && exec "$ROOT/target/release/obi") > >(ours) 2>"$dir/obi.log" </dev/null &
obi=$!
pids=("$obi" "${pids[@]}")
tries=150
until grep -qs attached "$dir/obi.log"; do
	kill -0 "$obi" 2>/dev/null || die "obi ended: $(cat "$dir/obi.log")"
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || die "obi is not attached after 15 s: $(cat "$dir/obi.log")"
	sleep 0.1
done

asked=0
end=$((SECONDS + SECONDS_OF_TRAFFIC))
while [ "$SECONDS" -lt "$end" ]; do
	asked=$((asked + 1))
	curl --silent --noproxy '*' --output /dev/null "http://127.0.0.1:$shop/call/$asked" || die "the shop does not answer"
	[ $((asked % 5)) -ne 0 ] ||
		curl --silent --noproxy '*' --output /dev/null "http://127.0.0.1:$web/missing" || die "nginx does not answer"
	sleep 0.5
done

say "$asked calls went from curl to Python to nginx; obi stops and closes its books:"
kill -TERM "$obi"
status=0
wait "$obi" || status=$?
cat "$dir/obi.log" >&2
exit "$status"
