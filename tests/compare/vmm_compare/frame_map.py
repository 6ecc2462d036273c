# SPDX-License-Identifier: MIT
"""A picture of what each frame is, in the middle of a run: what the figures are about."""
import shutil
import subprocess

from .machine import Failure

NAME = "frames"
TEXT = """\
What each frame of a guest is, in the middle of a run of `mixed` with `trap` and two vCPUs: page tables
by their level, frames that are mapped by vmap, and those with a stale alias."""
# The run lasts until it is stopped; a picture is taken when there are pins enough to look like it.
SCRIPT = """\
./vmm -f trap -c 2 -m 16M --control /tmp/control --timeout 100 guest.elf -- workload=mixed iters=1000000 \\
	</dev/null >"$0/log" 2>&1 &
pid=$!
pins() { ./vmm ctl /tmp/control statistics 2>/dev/null | sed -n 's/^ *"pins": \\([0-9]*\\),*$/\\1/p' | head -n 1; }
until [ "$(pins)" -gt 300 ] 2>/dev/null; do
	kill -0 $pid 2>/dev/null || break
	sleep 0.2
done
for try in 1 2 3 4 5 6 7 8 9 10; do # until one of them shows what this is about
	./vmm ctl /tmp/control map "$0/frames.svg" 2>>"$0/log" || continue
	grep -q '>0 others with a stale alias' "$0/frames.svg" || break
done
kill $pid
wait
"""


def take(stage, out):
    """Leaves the picture in `out`; [(name, text)] as plots.draw() does."""
    there = stage.outs / "frames"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir(parents=True)
    done = subprocess.run(["./with-kvm", "--out", there, "--timeout", "300", "sh", "-c", SCRIPT, there],
                          cwd=stage.path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if not (there / "frames.svg").is_file():
        log = (there / "log").read_text(errors="replace") if (there / "log").is_file() else ""
        raise Failure(f"no picture of the frames was made: {(done.stderr + log).strip()[-300:]}")
    shutil.copy(there / "frames.svg", out / f"{NAME}.svg")
    return [(NAME, TEXT)]


def kept(out):
    """The same of the run before, if there is one."""
    return [(NAME, TEXT)] if (out / f"{NAME}.svg").is_file() else []
