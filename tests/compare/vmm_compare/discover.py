# SPDX-License-Identifier: MIT
"""What this vmm and this guest offer, asked of themselves."""
from dataclasses import asdict, dataclass
import json
import re
import subprocess

from .machine import Failure
from .plan import SHADOW
from .run import write_whole

USAGE = 64  # vmm's exit status for a wrong command line


@dataclass
class Found:
    """Names, in the order in which the program lists them."""
    strategies: list
    tracks: list  # values of --track that run on the machine's KVM, or on its shadow MMU
    untracked: list  # strategies that keep their promise, or make none, with --track off
    workloads: list
    bootargs: list
    version: str
    host: dict


def works_untracked(vmm, strategy):
    """Does the strategy keep its promise, or make none, without a host that tracks?"""
    run = subprocess.run([vmm, "-f", strategy, "-t", "off", "no-such-image"],
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
    """Of the emulated machine: its probe, and what the guest says to nonsense."""
    command = ["./with-kvm", "--emulated", "--out", str(stage.outs / "probe"), "--timeout", "600"]
    run = subprocess.run([*command, "sh", "-c", QUESTIONS], cwd=stage.path,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    parts = run.stdout.split("\n=\n")
    if len(parts) != 3:
        raise Failure(f"no machine with KVM: {run.stderr.strip() or run.stdout.strip()}")
    try:
        probe = json.loads(parts[0])
    except ValueError as error:
        raise Failure(f"vmm --probe --json: {error}") from error
    return probe, parts[1].split("one of:")[-1].split(), re.findall(r"(\S+)=", parts[2])


def ask(stage):
    """Asks vmm here, and the guest in a machine."""
    vmm = str(stage.path / "vmm")
    probe, workloads, bootargs = ask_machine(stage)
    if probe["host"]["kvm"].get("kvm_amd.npt") in ("N", "0"):
        raise Failure("this QEMU runs no such guest under nested paging (with-kvm --help), which the"
                      " comparison is about: use another")
    if not probe["kvm"]["usable"]:
        raise Failure(f"the machine's KVM can't be used: {probe['kvm']['why_not']}")
    usable = [name for name, track in probe["track"].items() if track["usable"]]
    tracks = [name for name in choices(vmm, "-t") if name in usable or name in SHADOW]
    strategies = choices(vmm, "-f")
    untracked = [name for name in strategies if works_untracked(vmm, name)]
    return Found(strategies, tracks, untracked, workloads, bootargs, probe["version"],
                 probe["host"])


def discover(stage, kept):
    """What they said when the same programs were asked before, or say now; kept in that folder."""
    path = kept / f"found-{stage.digest()[:16]}.json"
    try:
        return Found(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        found = ask(stage)
    write_whole(path, json.dumps(asdict(found)))
    return found
