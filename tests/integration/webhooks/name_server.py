"""A real name server on a real UDP socket, whose answers a test decides, one after another where it wants."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Answers = Mapping[str, Sequence[str] | list[Sequence[str]]]


class NameServer:
    """Answers A and AAAA questions. A name with a list of lists answers the next of them at each A question."""

    def __init__(self, answers: Answers) -> None:
        self._answers = {name: [*addresses] for name, addresses in answers.items()}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.is_silent = False
        self.questions: list[str] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        self._is_closing = True
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while not self._is_closing:
            try:
                packet, sender = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if not self.is_silent:
                self._socket.sendto(self._answer(packet), sender)

    def _answer(self, packet: bytes) -> bytes:
        query = dns.message.from_wire(packet)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name not in self._answers:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response.to_wire()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append(f"{name} {kind}")
        addresses = self._answers[name]
        if addresses and isinstance(addresses[0], list | tuple):
            chosen = addresses[0]
            if kind == "A" and len(addresses) > 1:  # asked last, after AAAA: the next look-up gets the next answer
                addresses.pop(0)
        else:
            chosen = addresses
        fitting = [address for address in chosen if (":" in address) == (kind == "AAAA")]
        if fitting:
            response.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, *fitting))
        return response.to_wire()


@contextmanager
def name_server(answers: Answers) -> Iterator[NameServer]:
    """Run a name server on a free port of this machine."""
    server = NameServer(answers)
    try:
        yield server
    finally:
        server.close()
