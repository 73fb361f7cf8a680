# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of whole machines share. A test sources it first, runs machines with `start` and
# `ended` (or `boot`, which is both), and ends with `finish`. Everything happens in the test's own
# folder, and what a failed test leaves running is killed when it ends.

set -u

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
limen=$(realpath "${LIMEN_BIN:-$root/o/release/bin}")/limen
work=${LIMEN_TMP:-$(mktemp -d)}
engine=${LIMEN_ENGINE:-soft}
PATH=$PATH:/usr/sbin:/sbin
failures=0
pids=
cd "$work" || exit 1

stop_all()
{
	for one in $pids; do
		kill -9 "$one" 2> /dev/null
	done
	[ -n "${LIMEN_TMP:-}" ] || rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 130' INT TERM

fail()
{
	echo "FAILED: $*"
	failures=$((failures + 1))
}

skip()
{
	echo "$*"
	exit 77
}

finish()
{
	[ "$failures" -gt 0 ] || echo "all as expected"
	exit $((failures > 0))
}

# needs PROGRAM...: skips the test where one is not installed
needs()
{
	for one; do
		command -v "$one" > /dev/null || skip "$one is not installed"
	done
}

# allowed SECONDS: that many, and more under a sanitizer
allowed()
{
	case ${LIMEN_MODE:-release} in
	asan | tsan) echo $(($1 * 3)) ;;
	*) echo "$1" ;;
	esac
}

# guest ARCH: sets $guest to the folder of Debian's kernel, or skips the test
guest()
{
	guest=$("$root/installer/guest-kernel" "$1" 2> guest-kernel.log) ||
		skip "no kernel for $1: $(tail -n 1 guest-kernel.log)"
}

# initramfs OUTPUT [MODULE|FILE=PATH...] < SCRIPT
initramfs()
{
	output=$1
	shift
	cat > "$output.script"
	"$root/installer/guest-initramfs" "$guest" "$output" "$output.script" "$@" ||
		{ fail "no initramfs $output"; finish; }
}

# start NAME OPTION...: runs a machine in the background; its standard output (the serial port, with
# --serial stdio) goes to NAME.out, its errors to NAME.err, its process is $pid
start()
{
	name=$1
	shift
	: > "$name.out"
	"$limen" run --engine "$engine" "$@" < /dev/null > "$name.out" 2> "$name.err" &
	pid=$!
	pids="$pids $pid"
	started=$(date +%s%N)
}

# How many seconds of processor time the process $1 has used, and since when it runs.
used()
{
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.1f", ($12 + $13) / hz }' \
		"/proc/$1/stat" 2> /dev/null
}

# until_text FILE TEXT SECONDS: waits until the file contains the text, as long as $pid runs
until_text()
{
	end=$(($(date +%s) + $(allowed "$3")))
	while ! grep -aq -e "$2" "$1" 2> /dev/null; do
		if ! kill -0 "$pid" 2> /dev/null || [ "$(date +%s)" -ge "$end" ]; then
			grep -aq -e "$2" "$1" 2> /dev/null && return 0
			fail "no '$2' in $1 within $(allowed "$3") s, which ends with:"
			tail -n 15 "$1"
			cat "${1%.out}.err" 2> /dev/null
			return 1
		fi
		sleep 0.1
	done
}

# ended SECONDS: waits until the process $pid ends; sets $status
ended()
{
	end=$(($(date +%s) + $(allowed "$1")))
	cpu=
	while kill -0 "$pid" 2> /dev/null; do
		now=$(used "$pid")
		case $now in
		'' | 0.0) ;;
		*) cpu=$now ;;
		esac
		if [ "$(date +%s)" -ge "$end" ]; then
			fail "$name still runs after $(allowed "$1") s; it ends with:"
			tail -n 15 "$name.out"
			cat "$name.err"
			kill -9 "$pid"
			break
		fi
		sleep 0.1
	done
	wait "$pid"
	status=$?
	wall=$((($(date +%s%N) - started) / 100000000))
	echo "$name: $((wall / 10)).$((wall % 10)) s, ${cpu:-0} s of processor time, status $status"
}

# boot NAME SECONDS TEXT OPTION...: a machine that must show the text and power off in time
boot()
{
	name=$1 seconds=$2 text=$3
	shift 3
	start "$name" "$@"
	ended "$seconds"
	if [ "$status" -ne 0 ]; then
		fail "$name: status $status: $(cat "$name.err")"
		tail -n 15 "$name.out"
	elif ! grep -aq -e "$text" "$name.out"; then
		fail "$name: no '$text'; it ends with:"
		tail -n 15 "$name.out"
	elif [ -s "$name.err" ]; then
		fail "$name: $(cat "$name.err")"
	fi
}

# control SOCKET COMMAND [JSON]: one command of a machine's control socket; prints what it returns
control()
{
	"$here/control.py" "$@"
}
