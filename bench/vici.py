"""A small VICI client: enough to initiate and to count, for our daemon and for charon alike."""
import socket
import struct


def encode(section):
    out = b""
    for key, value in section.items():
        name = bytes([len(key)]) + key.encode()
        if isinstance(value, dict):
            out += b"\x01" + name + encode(value) + b"\x02"
        elif isinstance(value, list):
            items = (str(item).encode() for item in value)
            out += b"\x04" + name + b"".join(b"\x05" + struct.pack(">H", len(i)) + i for i in items) + b"\x06"
        else:
            text = str(value).encode()
            out += b"\x03" + name + struct.pack(">H", len(text)) + text
    return out


def decode(octets):
    root = {}
    stack, items, at = [root], None, 0
    while at < len(octets):
        kind, at = octets[at], at + 1
        if kind in (1, 3, 4):
            size = octets[at]
            key, at = octets[at + 1:at + 1 + size].decode(), at + 1 + size
        if kind in (3, 5):
            size = struct.unpack(">H", octets[at:at + 2])[0]
            value, at = octets[at + 2:at + 2 + size].decode(errors="replace"), at + 2 + size
        if kind == 1:
            stack[-1][key] = {}
            stack.append(stack[-1][key])
        elif kind == 2:
            stack.pop()
        elif kind == 3:
            stack[-1][key] = value
        elif kind == 4:
            items = stack[-1][key] = []
        elif kind == 5:
            items.append(value)
    return root


class Vici:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(path)

    def send(self, octets):
        self.socket.sendall(struct.pack(">I", len(octets)) + octets)

    def receive(self):
        size = struct.unpack(">I", self._exactly(4))[0]
        return self._exactly(size)

    def _exactly(self, size):
        octets = b""
        while len(octets) < size:
            part = self.socket.recv(min(size - len(octets), 1 << 20))
            if not part:
                raise EOFError("the daemon closed its VICI socket")
            octets += part
        return octets

    def command(self, name, arguments=None):
        self.send(b"\x00" + bytes([len(name)]) + name.encode() + encode(arguments or {}))
        answer = self.receive()
        if answer[0] != 1:
            raise RuntimeError(f"{name}: answered with packet type {answer[0]}")
        return decode(answer[1:])

    def stream(self, name, event):
        """Every event of a streaming command."""
        self.send(b"\x03" + bytes([len(event)]) + event.encode())
        self.receive()
        self.send(b"\x00" + bytes([len(name)]) + name.encode())
        events = []
        while True:
            packet = self.receive()
            if packet[0] != 7:
                break
            events.append(decode(packet[2 + packet[1]:]))
        self.send(b"\x04" + bytes([len(event)]) + event.encode())
        self.receive()
        return events
