# SPDX-License-Identifier: MIT
"""Runs groups of cells, each group in one machine: with the instruction clock, or natively."""
import hashlib
import json
import os
from pathlib import Path
import shlex
import shutil
import signal
import subprocess
import threading

from .figures import AGREED, work

CELL_SECONDS = 20  # of the clock inside; a cell takes far less than one
BOOT_SECONDS = 4 * 3600  # for a whole group, on the slowest host
SILENT_SECONDS = 300  # a machine that ends no run for so long stands still
DISK_BYTES = 1 << 20

# Where vCPUs share a processor, a CPU that waits for another's answer spins until the scheduler's
# next turn. Short turns keep that small, so that runs end and figures are about something else. And
# what the kernel does for itself now and then must not fall on whoever happens to run.
SETTLED = """\
echo 3600000 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
echo 3600000 >/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs
echo 0 >/proc/sys/vm/compaction_proactiveness
scheduler=/sys/kernel/debug/sched
echo HRTICK >$scheduler/features
echo 50000 >$scheduler/wakeup_granularity_ns
echo 100000 >$scheduler/min_granularity_ns
echo 100000 >$scheduler/latency_ns
"""


# Do the two of these runs that took least agree?
AGREE = """\
ticks() { sed -n "s/^ *\\"$1\\": \\([0-9]*\\),*$/\\1/p" "$2" | head -n 1; }
agree() {
	for file; do
		echo $(($(ticks workload_ticks "$file") - $(ticks shootdown_spin "$file") -
			$(ticks lock_spin "$file")))
	done | sort -n | { read -r least; read -r next; [ $(((next - least) * %d)) -le "$least" ]; }
}
""" % AGREED


class Failure(Exception):
    """Something that ends the comparison, said in one sentence."""


class Stage:
    """What is carried into the machine: vmm, guest.elf, a disk. Nothing else of the build folder,
    and always at the same path, as the kernel's count of instructions depends on both."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.path = self.build / "compare.run" / "stage"
        self.outs = self.build / "compare.run" / "out"

    @staticmethod
    def native_kvm():
        """Which KVM this host has, or None."""
        try:
            os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return None
        modules = sorted(path.name for path in Path("/sys/module").glob("kvm_*"))
        return f"native KVM ({', '.join(modules) or 'module unknown'}), {os.uname().release}"

    def make(self):
        """Fills it from the build folder."""
        shutil.rmtree(self.build / "compare.run", ignore_errors=True)
        self.path.mkdir(parents=True)
        self.outs.mkdir()
        for name in ("vmm", "guest.elf", "with-kvm"):
            if not (self.build / name).is_file():
                raise Failure(f"{self.build / name} is missing: make all kvm-machine")
            shutil.copy(self.build / name, self.path / name)
        (self.path / "kvm-machine").symlink_to(self.build / "kvm-machine")
        (self.path / "disk.img").write_bytes(disk_image())

    def remove(self):
        """When nothing runs any more."""
        shutil.rmtree(self.build / "compare.run", ignore_errors=True)

    def digest(self):
        """Names everything that the figures depend on but for the cells themselves."""
        digest = hashlib.sha256()
        for path in (self.path / "vmm", self.path / "guest.elf", self.path / "with-kvm",
                     self.build / "kvm-machine" / "base.cpio",
                     self.build / "kvm-machine" / "linux" / "vmlinux"):
            if path.is_file():
                digest.update(path.read_bytes())
        digest.update(SETTLED.encode())
        return digest.hexdigest()


def disk_image():
    """The same bytes every time."""
    blocks = (hashlib.sha256(str(i).encode()).digest() for i in range(DISK_BYTES // 32))
    return b"".join(blocks)


def vmm_words(cell, out, number):
    """The command line of a cell."""
    words = ["./vmm", "-f", cell.flush(), "-t", cell.track, "-c", str(cell.cpus), "-m", cell.mem,
             "--timeout", str(CELL_SECONDS), "-s", f"{out}/{number}.json", "-d", "disk.img,ro",
             "guest.elf", "--"]
    return words + cell.bootargs()


def run_line(cell, out, name, settled):
    """One run. What the last one left to be done later is waited for; by the instruction clock that
    takes no time."""
    base = shlex.quote(f"{out}/{name}")
    return (f"{'sleep 1; ' if settled else ''}{shlex.join(vmm_words(cell, out, name))} </dev/null "
            f">{base}.log 2>&1; echo $? >{base}.status")


def script(group, out, settled, repeat):
    """What the machine's shell does: warm-ups, then the cells in order, each until two runs agree,
    or as often as it may. Says the name of each run that there could be."""
    lines = [SETTLED if settled else "", AGREE]
    lines += [run_line(cell, out, "warm-up", settled) + "\n" for cell in group.warm_ups()]
    for number, cell in enumerate(group.cells):
        for again in range(cell.times(repeat)):
            name = f"{number}-{again}"
            lines.append(f"agree {shlex.quote(str(out))}/{number}-*.json || {{ " if again > 1 else "{ ")
            lines.append(f"{run_line(cell, out, name, settled)}; }}; echo {name}\n")
    return "".join(lines)


def best_run(runs):
    """One that failed, or else the one with the least work; and the work of all of them."""
    failed = [run for run in runs if run["status"] or not run["stats"]]
    if failed:
        return failed[0]
    works = [work(run["stats"]) for run in runs]
    return {**runs[works.index(min(works))], "works": works}


class Boot:
    """One machine at work on one group."""

    def __init__(self, stage, group, counted, repeat):
        self.stage, self.group, self.counted, self.repeat = stage, group, counted, repeat
        self.out = stage.outs / group.name
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.process, self.silent = None, False

    def run(self, on_run):
        """Runs all cells, calling on_run() after each run; returns what read() returns."""
        command = ["./with-kvm", "--out", str(self.out), "--timeout", str(BOOT_SECONDS)]
        if self.counted:
            npt = "0" if self.group.cells[0].mmu == "shadow" else "1"
            command += ["--count", "--highres", "--npt", npt]
        command += ["sh", "-c", script(self.group, self.out, self.counted, self.repeat)]
        self.process = subprocess.Popen(
            command, cwd=self.stage.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True)
        for line in self._lines():
            if line[0].isdigit():
                on_run()
        said = self.process.stderr.read()
        self.process.wait()
        return self.read(said)

    def _lines(self):
        """What the machine says. If it stands still, it is ended."""
        def end_it():
            self.silent = True
            self.stop()

        while True:
            watch = threading.Timer(SILENT_SECONDS, end_it)
            watch.daemon = True
            watch.start()
            line = self.process.stdout.readline()
            watch.cancel()
            if not line:
                return
            yield line

    def stop(self, number=signal.SIGTERM):
        """Ends it early."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def read(self, said):
        """What came back: for each cell its status, statistics and output. A cell that a machine
        did not live to end has status None."""
        reason = said.strip().splitlines()[-1:] or ["no reason was given"]
        if self.silent:
            reason = [f"no run ended in {SILENT_SECONDS} s"]
        lost = {"status": None, "stats": None, "log": f"the machine ended early: {reason[0]}"}
        cells = [self._read_cell(number) or lost for number in range(len(self.group.cells))]
        shutil.rmtree(self.out, ignore_errors=True)
        return cells

    def _read_cell(self, number):
        times = self.group.cells[number].times(self.repeat)
        runs = [self._read_run(f"{number}-{again}") for again in range(times)]
        least = min(times, 2)  # the others need not have been made
        return None if None in runs[:least] else best_run([run for run in runs if run])

    def _read_run(self, name):
        try:
            status = int((self.out / f"{name}.status").read_text())
            log = (self.out / f"{name}.log").read_text(errors="replace")
        except (OSError, ValueError):
            return None
        try:
            stats = json.loads((self.out / f"{name}.json").read_text())
        except (OSError, ValueError):
            stats = None
        return {"status": status, "stats": stats, "log": log}
