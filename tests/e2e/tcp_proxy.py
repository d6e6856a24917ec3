"""A TCP proxy on loopback that can be cut: the network between one operator and the API server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from tools.cluster.processes import Startable


class TcpProxy(Startable):
    """Forwards every connection to one target, until it is frozen or closed.

    Frozen, it is a partition: connections stay open, new ones are accepted, and no byte goes
    either way. Closed, it is a host that is down: connections break, and new ones are refused.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        self._stopped = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def start(self) -> None:
        """Forward from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close it, and wait for its thread."""
        self.close()
        self._thread.join(10)

    def freeze(self) -> None:
        """Let nothing through any more."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let everything through again, also what was held up."""
        self._flows.set()

    def close(self) -> None:
        """Break every connection and refuse new ones."""
        self._stopped = True
        self._flows.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flows.wait()
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        if self._stopped:
            self.close()
        with contextlib.suppress(OSError):
            self._forward(client, server)
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while True:
            readable, _, _ = select.select([client, server], [], [])
            for source in readable:
                received = source.recv(65536)
                self._flows.wait()
                if not received:
                    return
                other[source].sendall(received)
