#!/usr/bin/env bash
# The demonstration behind "make demo": three machines, the examples on them,
# and what happens when the power of one goes. It leaves the cluster up.
set -euo pipefail
cd "$(dirname "$0")/.."

sandbox() { bin/fleet-sandbox "$@"; }
fleetctl() { sandbox exec "$via" fleetctl "$@"; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
	printf '\n$ fleetctl list-machines\n'
	fleetctl list-machines
	printf '\n$ fleetctl list-units\n'
	fleetctl list-units
}
now() { date +%s.%N; }

# await WHAT COMMAND... repeats the command until it succeeds, for a minute.
await() {
	local what=$1 deadline=$((SECONDS + 60))
	shift
	until "$@" 2>/dev/null; do
		if ((SECONDS > deadline)); then
			echo "not within a minute: $what" >&2
			show
			exit 1
		fi
		sleep 0.2
	done
}
listed() { (($(fleetctl list-machines --no-legend | wc -l) == $1)); }

# units prints "MACHINE ACTIVE UNIT", a line for each place of a unit.
units() { fleetctl list-units --full --no-legend --fields=machine,active,unit | tr -s '\t ' ' '; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

via=m1
say "1. Three machines, each with systemd, Docker and fleetd; the store is embedded in all three"
sandbox down >/dev/null
sandbox up --machines 3
await "all three machines in the cluster" listed 3

say "2. The example image, FROM scratch, into each machine's Docker Engine"
sandbox image --output "$work/hello.tar" --tag fleet/hello:1 bin/hello
sandbox load --all "$work/hello.tar"
tar -C examples -c web@.service web-announce@.service node-info.service cleanup.service cleanup.timer |
	sandbox exec m1 tar -C /root -x --no-same-owner

say "3. fleetctl start: containers kept apart, their sidekicks, a unit for every machine, a timer"
start() {
	printf '\n$ fleetctl %s\n' "$*"
	sandbox exec m1 sh -c 'cd /root && exec fleetctl "$@"' fleetctl "$@"
}
start start web@1.service web@2.service web@3.service
start start web-announce@1.service web-announce@2.service web-announce@3.service
start start node-info.service
start load cleanup.service
start start cleanup.timer
show

everywhere() { (($(units | grep -c 'active node-info.service') == 4)); }
say "4. A fourth machine joins: it gets the unit for every machine, and nothing moves"
sandbox add
sandbox load m4 "$work/hello.tar"
await "the unit for every machine on the fourth, too" everywhere
show

victim=m3 # any but the one that this script talks through
id=$(sandbox exec "$victim" cat /etc/machine-id)
lost=$(units | awk -v id="$id" 'index($1, id) == 1 && $3 ~ /^web/ { print $3 }')
say "5. The power of $victim goes; it held" $lost
began=$(now)
sandbox kill "$victim"
healed() {
	local u
	for u in $lost; do
		units | awk -v id="$id" -v u="$u" \
			'$3 == u && index($1, id) != 1 && $2 == "active" { found = 1 } END { exit !found }' || return 1
	done
}
await "what $victim held runs elsewhere" healed
took=$(awk -v a="$began" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
show
say "Running elsewhere $took s after the power went (a machine counts as lost after
10 s without a sign of life; if it also led the store, that elects another first)."

cat <<EOF

The cluster is still up. Three things to try:

  # It comes back and starts nothing twice; only the unit for every machine starts there again.
  sudo bin/fleet-sandbox start $victim; sleep 5; sudo bin/fleet-sandbox exec m1 fleetctl list-units
  # The units don't notice.
  sudo bin/fleet-sandbox exec m1 systemctl restart fleet
  # One machine is free; after 15 s it gives up on the fifth and has said why.
  sudo bin/fleet-sandbox exec m1 sh -c 'cd /root && fleetctl start web@4.service web@5.service'

and, when you have seen enough: sudo make down
EOF
