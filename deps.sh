#!/bin/bash
# SPDX-License-Identifier: MIT
# deps.sh KERNEL PACKAGE...: install what is missing of these packages, by apt-get, and say what is done and
# how far it is. If nothing is missing but the file KERNEL, only apt's lists are brought up to date, as
# a kernel is downloaded next.
set -euo pipefail

kernel=$1
shift
command -v dpkg-query >/dev/null || {
	echo "not a Debian or Ubuntu: install the like of '$*' and use DEPS=skip" >&2
	exit 1
}
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

# sudo drops the environment.
apt_get() {
	"${sudo[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get "$@" </dev/null
}

# Of apt-get's many lines one in twenty packages.
say_progress() {
	awk 'function step(what, n) { if (n == all || n % 20 == 0) say("  " what " " n " of " all) }
		function say(text) { print text; fflush() }
		/newly installed/ { all = $1 + $3; say("  " all " packages, with what they need") }
		/^Need to get / { sub(" of archives.*", ""); say("  " $0) }
		/^Get:/ { step("downloaded", ++got) }
		/^Unpacking / { step("unpacked", ++unpacked) }
		/^Setting up / { step("set up", ++done) }'
}

missing=()
for package in "$@"; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "${sudo[*]:+${sudo[*]} }apt-get update; ${sudo[*]:+${sudo[*]} }apt-get install -y" \
		"--no-install-recommends ${missing[*]}"
	apt_get update -qq
	apt_get install -q -y -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" | say_progress
elif [ ! -e "$kernel" ]; then
	echo "${sudo[*]:+${sudo[*]} }apt-get update (the emulated machine's kernel is downloaded next)"
	apt_get update -qq
fi
