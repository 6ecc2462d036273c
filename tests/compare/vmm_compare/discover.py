# SPDX-License-Identifier: MIT
"""What this vmm and this guest offer, asked of themselves."""
from dataclasses import dataclass
import json
import re
import subprocess

from .machine import Failure

USAGE = 64  # vmm's exit status for a wrong command line


@dataclass
class Found:
    """Names, in the order in which the program lists them."""
    vmm: str
    strategies: list
    sources: list  # that look, and run on this KVM
    workloads: list
    bootargs: list
    version: str
    host: dict

    def works_unseen(self, strategy):
        """Does the strategy keep its promise, or none, without a host that looks?"""
        run = subprocess.run([self.vmm, "-f", strategy, "-t", "off", "no-such-image"],
                             capture_output=True, check=False)
        return run.returncode != USAGE


def choices(vmm, option):
    """The values of an option, from the sentence that refuses another."""
    run = subprocess.run([vmm, option, "?", "x"], capture_output=True, text=True, check=False)
    match = re.search(r"is one of (.*), not", run.stderr)
    if not match:
        raise Failure(f"{vmm} {option}: its choices are not to be had: {run.stderr.strip()}")
    return match[1].split(", ")


QUESTIONS = """\
./vmm --probe --json
echo =
./vmm guest.elf -- 'workload=?' </dev/null
echo =
./vmm guest.elf -- '?=1' </dev/null
"""


def ask_machine(stage):
    """Of a machine with KVM: its probe, and what the guest says to nonsense."""
    run = subprocess.run(["./with-kvm", "--out", str(stage.outs / "probe"), "--timeout", "120",
                          "sh", "-c", QUESTIONS], cwd=stage.path, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False)
    parts = run.stdout.split("\n=\n")
    if len(parts) != 3:
        raise Failure(f"no machine with KVM: {run.stderr.strip() or run.stdout.strip()}")
    try:
        probe = json.loads(parts[0])
    except ValueError as error:
        raise Failure(f"vmm --probe --json: {error}") from error
    return probe, parts[1].split("one of:")[-1].split(), re.findall(r"(\S+)=", parts[2])


def discover(stage):
    """Asks vmm here, and the guest in a machine."""
    vmm = str(stage.path / "vmm")
    probe, workloads, bootargs = ask_machine(stage)
    usable = [name for name, source in probe["sources"].items() if source["usable"]]
    sources = [name for name in choices(vmm, "-t") if name in usable]
    return Found(vmm, choices(vmm, "-f"), sources, workloads, bootargs, probe["version"],
                 probe["host"])
