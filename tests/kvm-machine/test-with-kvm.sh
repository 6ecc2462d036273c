#!/bin/bash
# SPDX-License-Identifier: MIT
# test-with-kvm.sh [BUILD]: tests with-kvm and the emulated machine in the build folder (default
# $VMM_BUILD or build). One line a check, and their count at the end; exit status 1 if any failed.
set -u

build=$(realpath "${1:-${VMM_BUILD:-build}}")
passed=0 failed=0

# A build folder of our own, in which nobody else makes anything meanwhile. All temporary files of
# with-kvm lie below $TMPDIR, and so are in the command line of each of its processes: what it leaves
# behind can be told from the runs of others.
work=$(mktemp -d)
mine=$work/build
with_kvm=$mine/with-kvm
mkdir "$work/tmp" "$mine"
cp "$build/with-kvm" "$mine"
ln -s "$build/kvm-machine" "$mine"
cp "$(type -P busybox)" "$mine/static" # a program that has no libraries disturbs nothing
export TMPDIR=$work/tmp
trap 'rm -rf "$work"' EXIT

ok() { # NAME CONDITION...
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $name"
		echo "# false: $*"
	fi
}

same() { # EXPECTED ACTUAL
	[ "$1" = "$2" ]
}

has() { # TEXT FILE
	grep -qF -- "$1" "$2"
}

nothing_left() {
	! pgrep -f -- "$TMPDIR/with-kvm" >"$work/left" && [ -z "$(ls -A "$TMPDIR")" ]
}

# Runs a command in the machine; its streams are in $work/stdout and $work/stderr then.
machine() {
	"$with_kvm" --emulated "$@" >"$work/stdout" 2>"$work/stderr"
}

compile_probe() {
	cat >"$mine/probe.c" <<-'END'
		#include <fcntl.h>
		#include <linux/kvm.h>
		#include <stdio.h>
		#include <sys/ioctl.h>
		int main(void)
		{
			int kvm = open("/dev/kvm", O_RDWR);
			printf("version %d\n", ioctl(kvm, KVM_GET_API_VERSION, 0));
			return ioctl(kvm, KVM_CREATE_VM, 0) < 0;
		}
	END
	cc -o "$mine/probe" "$mine/probe.c" || exit 1
}

test_kvm() {
	(cd "$mine" && machine ./probe </dev/null)
	ok "a VM can be made, from any current folder" same "0 version 12" "$? $(cat "$work/stdout")"
	(cd "$work" && machine --npt 0 sh -c "build/probe && cat /sys/module/kvm_amd/parameters/npt" </dev/null)
	ok "a VM can be made on the shadow MMU" same "0 version 12 N" "$? $(xargs <"$work/stdout")"
}

take_trial() { # take_trial COMMAND: what the machine of test_npt has for a trial
	printf '#!/bin/sh\n%s\n' "$1" >"$work/overlay/machine/try-unpaged"
	chmod +x "$work/overlay/machine/try-unpaged"
	(cat "$build/kvm-machine/base.cpio"; cd "$work/overlay" && find . | cpio -o -H newc --quiet) \
		>"$work/broken/kvm-machine/base.cpio"
}

# The machine's nested paging is tried once for each version of QEMU. Here the trial fails.
test_npt() {
	local broken=$work/broken/kvm-machine npt="cat /sys/module/kvm_amd/parameters/npt"
	local with_kvm=$work/broken/with-kvm
	mkdir -p "$broken" "$work/overlay/machine"
	cp "$mine/with-kvm" "$work/broken"
	ln -s "$build/kvm-machine/linux" "$broken"
	take_trial "exit 1"
	printf 'QEMU emulator version 0\n1\n' >"$broken/npt"
	machine sh -c "cat; $npt" <<<input
	ok "where unpaged guests fail under nested paging there is none" same "input N" "$(xargs <"$work/stdout")"
	ok "and that is said" has "kvm_amd npt=0" "$work/stderr"
	ok "and remembered" same "$(qemu-system-x86_64 --version | head -n 1) 0" "$(xargs <"$broken/npt")"
	sed -i 's/^0$/1/' "$broken/npt"
	machine $npt </dev/null
	ok "what is remembered is not tried again" same Y "$(cat "$work/stdout")"
	rm "$broken/npt"
	take_trial "sleep 1000"
	sed -i 's/^trial_limit=.*/trial_limit=1/' "$with_kvm"
	machine $npt </dev/null
	ok "a trial that does not end is told from one that fails" has "has not ended in 1 s" "$work/stderr"
	ok "and not remembered" same "N no" "$(cat "$work/stdout") $([ -e "$broken/npt" ] || echo no)"
	ok "nothing is left of the trial" nothing_left
}

test_streams() {
	head -c 1048576 /dev/urandom >"$work/random"
	machine sh -c 'cat; echo "two  words" >&2; exit 3' <"$work/random"
	ok "the exit status is passed" same 3 $?
	ok "1 MiB of random bytes comes back from stdin over stdout" cmp "$work/random" "$work/stdout"
	ok "stderr is kept apart" same "two  words" "$(cat "$work/stderr")"
	"$with_kvm" --emulated sh -c \
		'for i in 1 2 3; do echo out $i; echo error $i >&2; done; kill -SEGV $$' \
		>"$work/both" 2>&1 </dev/null
	ok "a command ended by SIGSEGV gives 139" same 139 $?
	ok "stdout and stderr in one file keep their order" same \
		"out 1 error 1 out 2 error 2 out 3 error 3" "$(xargs <"$work/both")"
}

test_statuses() {
	machine no-such-command </dev/null
	ok "a command that is not there gives 127" same 127 $?
	ok "and is named" has no-such-command "$work/stderr"
	machine --timeout x true
	ok "a bad option value gives 64" same 64 $?
	machine --no-such-option true
	ok "an unknown option gives 64" same 64 $?
	machine
	ok "no command gives 64" same 64 $?
	machine --help
	ok "--help gives 0" same 0 $?
	"$with_kvm" --help >/dev/full 2>"$work/stderr"
	ok "that can't be printed gives 74" same 74 $?
	ok "and says why" has "standard output" "$work/stderr"
}

test_missing() {
	mkdir "$work/bin" "$work/empty"
	ln -s /usr/bin/* "$work/bin"
	rm -f "$work/bin/qemu-system-x86_64"
	(PATH=$work/bin machine true)
	ok "no QEMU gives 69" same 69 $?
	ok "and the cure" has "apt-get install qemu-system-x86" "$work/stderr"
	cp "$with_kvm" "$work/empty"
	"$work/empty/with-kvm" --emulated true 2>"$work/stderr"
	ok "no kernel gives 69" same 69 $?
	ok "and the cure" has "make kvm-machine" "$work/stderr"
}

test_carried() {
	printf '#!/usr/bin/env bash\nset -- *.txt; echo "${BASH_VERSION:+bash} $* $VMM_X:${OTHER:-none}"\nls "$VMM_MINE/compare.run"\n' \
		>"$work/script"
	mkdir "$mine/compare.run" # of a comparison that is at work: its files come and go
	chmod +x "$work/script"
	: >"$work/a file.txt"
	mkdir "$work/folder" && mkfifo "$work/folder/fifo"
	(cd "$work" && VMM_MINE="$mine" VMM_X='1 2' OTHER=3 machine --with 'a file.txt' --with folder ./script </dev/null)
	ok "--with, also of a FIFO, VMM_ variables and a script's interpreter are carried" same \
		"bash a file.txt 1 2:none" "$(cat "$work/stdout")"
	ok "what a comparison works with stays behind" has "compare.run: No such file" "$work/stderr"
	rmdir "$mine/compare.run"
	(cd "$mine" && machine --with /srv ls -d /srv </dev/null)
	ok "a folder below / itself is carried" same "0 /srv " "$? $(cat "$work/stdout" "$work/stderr" | tr '\n' ' ')"
}

test_out() {
	local out=$mine/out
	mkdir "$out"
	: >"$out/old"
	machine --out "$out" sh -c 'cd $0 && mkdir sub && cp /bin/busybox sub && ls -A' "$out" </dev/null
	ok "the output folder starts empty" same sub "$(cat "$work/stdout")"
	ok "what is in it comes back" cmp "$(type -P busybox)" "$out/sub/busybox"
	ok "beside what is there" [ -e "$out/old" ]
}

# The command defies its signal and never stops writing.
test_timeout() {
	machine --timeout 6 sh -c 'trap "" TERM; while :; do echo line; done' </dev/null
	ok "the time limit gives 124" same 124 $?
	ok "and says so" has "time limit" "$work/stderr"
	ok "nothing is left after that" nothing_left
}

# Starts a command that leaves a file and waits, sends the signal $1 to with-kvm once it does so, and
# gives with-kvm's status.
interrupt() {
	local begun status
	mkfifo "$work/begun"
	exec {begun}<>"$work/begun"
	env --default-signal=INT "$with_kvm" --emulated --out "$mine/partial" \
		sh -c 'echo done >$0/part; echo begun; sleep 1000; :' "$mine/partial" \
		>"$work/begun" 2>"$work/stderr" </dev/null &
	read -r -t 250 _ <&"$begun" # shorter than with-kvm's own limit
	kill -"$1" $!
	wait $! 2>/dev/null
	status=$?
	exec {begun}<&-
	rm "$work/begun"
	return $status
}

test_signals() {
	interrupt INT
	ok "SIGINT ends it with 130" same 130 $?
	ok "nothing is left after SIGINT" nothing_left
	ok "what was in the output folder comes back" same "done" "$(cat "$mine/partial/part")"
	interrupt TERM
	ok "SIGTERM ends it with 143" same 143 $?
	ok "nothing is left after SIGTERM" nothing_left
	interrupt KILL
	ok "SIGKILL ends it with 137" same 137 $?
	local tries=0 # the machine dies with it, but not at the same instant
	while pgrep -f -- "$TMPDIR/with-kvm" >/dev/null && [ $((tries += 1)) -lt 300 ]; do
		sleep 0.1
	done
	ok "no machine outlives it" [ $tries -lt 300 ]
	rm -rf "${TMPDIR:?}"/*
	"$with_kvm" --emulated yes </dev/null 2>"$work/stderr" | head -n 2 >"$work/stdout"
	ok "a reader that goes away ends it" same 141 "${PIPESTATUS[0]}"
	ok "nothing is left after that" nothing_left
}

test_terminal() {
	cat >"$work/on-terminal" <<-END
		stty -g >$work/before
		$with_kvm --emulated cat
		stty -g >$work/after
	END
	printf 'typed\n\004' | script -qec "bash $work/on-terminal" /dev/null >"$work/stdout"
	ok "a terminal's lines and end of file arrive" has typed "$work/stdout"
	ok "a terminal is left as it was" cmp "$work/before" "$work/after"
}

# Another process carries the output, and needs its turn before the panic.
test_panic() {
	machine sh -c 'echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 1000' </dev/null
	ok "a kernel panic gives 70" same 70 $?
	ok "what came before it is not lost" same before "$(cat "$work/stdout")"
	local console
	console=$(sed -n 's/.*console is kept in \([^ ]*\): .*Kernel panic.*/\1/p' "$work/stderr")
	ok "the console is kept" has "Kernel panic" "$console"
	rm -f -- "$console"
}

test_count() {
	local run
	for run in 1 2; do
		printf 'some input' |
			"$with_kvm" --count sh -c 'cat; $0; sleep 1; cat /proc/stat /proc/timer_list' "$mine/probe" \
				>"$work/count$run"
	done
	ok "--count passes stdin" has "some inputversion 12" "$work/count1"
	ok "two runs with --count print the same, to the nanosecond" cmp "$work/count1" "$work/count2"
	ok "timers are periodic" grep -q 'hres_active *: 0' "$work/count1"
	machine --count --highres sh -c 'sleep 1; cat /proc/timer_list' # the kernel takes its time to trust the TSC
	ok "with --highres they are not" grep -q 'hres_active *: 1' "$work/stdout"
}

test_parallel() {
	"$with_kvm" --emulated sh -c 'cat; sleep 1; cat /proc/sys/kernel/hostname' \
		<<<one >"$work/one" 2>&1 &
	machine cat <<<two
	wait $!
	ok "two machines run at the same time" same "one kvm-machine two" \
		"$(cat "$work/one" "$work/stdout" | xargs)"
}

# Inside the machine there is a /dev/kvm and no QEMU, so only a direct run can succeed.
test_direct() {
	local tools=() tool
	for tool in bash getopt realpath timeout; do
		tools+=(--with "$(type -P $tool)")
	done
	machine "${tools[@]}" "$with_kvm" --timeout 20 sh -c 'exit 5' </dev/null
	ok "a usable /dev/kvm is used directly" same 5 $?
}

compile_probe
test_kvm
test_npt
test_streams
test_statuses
test_missing
test_carried
test_out
test_timeout
test_signals
test_terminal
test_panic
test_count
test_parallel
test_direct
echo "1..$((passed + failed))"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
