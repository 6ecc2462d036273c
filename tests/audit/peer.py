# SPDX-License-Identifier: MIT
"""A QMP peer that behaves as it is told: it answers, hangs, lies or goes away at a certain command."""
import json
import os
import socket
import threading

HANG, CLOSE = object(), object()
GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


class Peer(threading.Thread):
    """`rules` map a command (for the human monitor "hmp WORD") to what is returned, to a function that
    sends by itself, or to HANG or CLOSE. `said` is all the commands in their order."""

    def __init__(self, path, rules, greeting=GREETING):
        super().__init__(daemon=True)
        self.rules, self.greeting = rules, greeting
        self.running, self.said, self.served = True, [], threading.Event()
        self.reached = {name: threading.Event() for name in rules}
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        self.listener.listen(1)
        self.start()

    def run(self):
        """Serves one connection, and another that comes at once after it."""
        while True:
            try:
                self.connection, _ = self.listener.accept()
                self.serve()
            except OSError:
                pass
            self.connection.close()
            self.served.set()
            self.rules, self.greeting = {}, GREETING

    def serve(self):
        if self.greeting is HANG:
            return self.hang()
        self.connection.sendall(self.greeting)
        rest = b''
        while True:
            more = self.connection.recv(65536)
            if not more:
                return
            rest += more.replace(b'\xff', b'')
            while b'\n' in rest:
                line, rest = rest.split(b'\n', 1)
                if line.strip() and not self.answer(json.loads(line)):
                    return

    def hang(self):
        """Says nothing any more, but still does what it hears."""
        rest = b''
        while more := self.connection.recv(65536):
            rest += more.replace(b'\xff', b'')
            if b'"cont"' in rest:
                self.said.append('cont')
                self.running = True
        return False

    def answer(self, request):
        name = request['execute']
        self.said.append(name)
        if name == 'human-monitor-command':
            name = 'hmp ' + ' '.join(request['arguments']['command-line'].split()[:2])
        rule = self.rules.get(name)
        if name in self.reached:
            self.reached[name].set()
        if name == 'stop' and rule is not HANG:
            self.running = False
        if name == 'cont':
            self.running = True
        if rule is HANG:
            self.running = self.running and name != 'stop'
            return self.hang()
        if rule is CLOSE:
            return False
        if callable(rule):
            return rule(self, request)
        self.reply(request, {} if rule is None else rule)
        return True

    def reply(self, request, value):
        self.connection.sendall(json.dumps({'return': value, 'id': request.get('id')}).encode() + b'\r\n')


def rules(machine, other=()):
    """Those of a good peer, with some replaced."""
    return {'qmp_capabilities': {}, 'query-status': {'running': True}, 'stop': {}, 'cont': {},
            'query-memdev': [], 'hmp info mtree': machine.mtree(), 'hmp info registers': machine.registers(),
            **dict(other)}
