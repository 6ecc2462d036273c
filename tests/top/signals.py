# SPDX-License-Identifier: MIT
"""vmm top on a terminal of its own, once for each signal that by default ends a process: signals.py VMM SOCKET.
However it ends, the terminal is as before, with its cursor and off the second screen."""
import os
import resource
import signal
import sys
import termios

UNSEEN = {signal.SIGKILL, signal.SIGPIPE, signal.SIGXFSZ}  # the last two are ignored
HARMLESS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD, signal.SIGURG,
            signal.SIGCONT, signal.SIGWINCH}
LAST_LINE = b"q quit"
LEAVES_SCREEN, SHOWS_CURSOR = b"\x1b[?1049l", b"\x1b[?25h"


def read_until(terminal, text):
    """What the program writes until it has written this, or ends."""
    said = b""
    while text is None or text not in said:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # it has ended
            break
    return said


def end_by(number, argv):
    """How vmm top ends by this signal: its status as a shell has it, what is wrong with the terminal."""
    terminal, inside = os.openpty()
    before = termios.tcgetattr(terminal)
    pid = os.fork()
    if pid == 0:
        os.login_tty(inside)
        signal.signal(number, signal.SIG_DFL)
        os.execve(argv[0], argv, dict(os.environ, TERM="xterm"))
    os.close(inside)
    said = read_until(terminal, LAST_LINE)
    raw = termios.tcgetattr(terminal)
    os.kill(pid, number)
    said += read_until(terminal, None)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = termios.tcgetattr(terminal)
    os.close(terminal)
    wrong = [what for what, is_so in [
        ("it has shown nothing", LAST_LINE not in said), ("it was not raw", raw == before),
        ("not as before", after != before), ("on the second screen", not said.count(LEAVES_SCREEN)),
        ("no cursor", said.rfind(SHOWS_CURSOR) < said.rfind(LAST_LINE))] if is_so]
    return 128 - status if status < 0 else status, wrong


def main():
    vmm, socket = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = 0
    for number in sorted(signal.valid_signals() - UNSEEN - HARMLESS):
        status, wrong = end_by(number, [vmm, "top", "-i", "0.1", socket])
        if status != 128 + number:
            wrong.append(f"status {status}")
        print("not ok" if wrong else "ok", f"signals_leave_the_terminal_whole_{int(number)}", *wrong)
        failed |= bool(wrong)
    return failed


sys.exit(main())
