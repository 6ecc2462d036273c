# SPDX-License-Identifier: MIT
"""Answers as a vmm would at its control socket, with figures that only grow by the number of requests:
peer.py SOCKET [HOW]. What was asked, but for statistics, goes to standard output. HOW is `wrong`: of each client
the second answer is wrong, for each in another way; `gone`, which hangs up instead of answering; or `silent`, which does neither."""
import json
import socket
import sys

LEAST = {"wall_seconds": 1.5, "paused": False, "vcpus": [{}], "exits": {"runs": -1}}  # a Linux; a counter may be anything
WRONG_MEMBERS = [
    ("wall_seconds", "x"), ("paused", 0), ("exits", []), ("exits", {"runs": 1.5}), ("vcpus", {"a": [1]}), ("vcpus", [7]),
    ("vcpus", [{"pio": "1"}]), ("pins", []), ("tracker", {"hot": None}), ("tracker", {"track": 1}),
    ("guest", {"strategy": 8}), ("guest", {"lazy_pages": 1e300})]
WRONG = [
    b"[1]\n", b"{\n", b"\0\xff\n", b'{"error": "no room"}\n', b"{}\n",
    *(json.dumps({**LEAST, member: value}).encode() + b"\n" for member, value in WRONG_MEMBERS),
    b"x" * 100_000]


def statistics(n, state):
    vcpu = {"pio": 70 * n, "mmio": n, "hypercalls": 60 * n, "upcalls": n}
    return {
        "wall_seconds": float(n), "paused": state["pause"], "vcpus": [vcpu] * 3, "exits": {"runs": 100 * n},
        "pins": {"pins": 1234 * n, "aliases_met": 10 * n, "upcalls": 10 * n},
        "tracker": {"tables": 50, "hot": n % 7, "syncs": 999 * n, "track": state["track"]},
        "guest": {"purges": 5 * n, "local_flushes": n, "lazy_pages": n % 9, "strategy": state["strategy"]},
    }


def answer(request, n, state):
    do = request["do"]
    if do == "statistics":
        return statistics(n, state)
    print(do, request.get("name", ""), flush=True)
    if request.get("name") == "log":
        return {"error": "no room for logs"}
    if do in ("pause", "resume"):
        state["pause"] = do == "pause"
    else:
        state[do] = request["name"]
    return {}


def talk(connection, wrong):
    state = {"pause": False, "strategy": "trap", "track": "dirty"}
    for n, line in enumerate(connection.makefile("r"), 1):
        if not wrong:
            connection.sendall(json.dumps(answer(json.loads(line), n, state)).encode() + b"\n")
        elif n == 1:
            connection.sendall(json.dumps(LEAST).encode() + b"\n")
        else:
            connection.sendall(wrong.pop(0))
            return


def serve(listener, how, wrong):
    connection, _ = listener.accept()
    with connection:
        try:
            if how == "gone":
                connection.recv(1)
            elif how == "silent":
                connection.makefile().read()
            else:
                talk(connection, wrong)
        except ConnectionError:
            pass  # it has left while an answer was on its way


with socket.socket(socket.AF_UNIX) as listening:
    HOW = sys.argv[2] if sys.argv[2:] else None
    listening.bind(sys.argv[1])
    listening.listen(8)
    wrongs = WRONG if HOW == "wrong" else None
    while wrongs is None or wrongs:
        serve(listening, HOW, wrongs)
