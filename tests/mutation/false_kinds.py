"""Decoders that do what none may: the harness has to notice each of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from pvcnn.encoding import decode, encode
from pvcnn.errors import DecodeError
from tests.mutation.samples import Samples
from tests.mutation.targets import Kind, Target

_DATA = encode("false", 1, {"value": b"x" * 32})


def _honest(data: bytes) -> bytes:
    """Decodes only the sample."""
    if data != _DATA:
        raise DecodeError("not the sample")
    return data


def _misbehaving(act: Callable[[], object]) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        if data != _DATA:
            act()
        return _honest(data)

    return read


def _busy() -> None:
    while True:
        pass


def _slow() -> None:
    end = time.process_time() + 0.4
    while time.process_time() < end:
        pass


def _undocumented() -> None:
    raise KeyError("undocumented")


def _lax(data: bytes) -> object:
    """Takes what follows a map for nothing."""
    fields = decode(data.rstrip(b"\0"), "false", 1, 1000)
    value = fields.octets("value")
    fields.finish()
    return value


def _kind(name: str, read: Callable[[bytes], object], share: int = 100) -> Kind:
    def make(samples: Samples, scratch: Path) -> Target:
        return Target(_DATA, read, shape="octets")

    return Kind(name, (), make, share, seconds=0.2)


def _second_encoding(samples: Samples, scratch: Path) -> Target:
    def write(value: object) -> bytes:
        return encode("false", 1, {"value": value})

    return Target(_DATA, _lax, write, shape="octets", inert="each value is one")


KINDS = {
    kind.name: kind
    for kind in (
        _kind("honest", _honest),
        _kind("accepts", lambda data: data),
        _kind("undocumented", _misbehaving(_undocumented)),
        _kind("ends the process", _misbehaving(lambda: os._exit(3))),
        _kind("dies", _misbehaving(os.abort)),
        _kind("is busy", _misbehaving(_busy)),
        _kind("waits", _misbehaving(lambda: time.sleep(60))),
        _kind("slow", _misbehaving(_slow)),
        _kind("large", _misbehaving(lambda: bytearray(b"x" * (300 << 20)))),
        Kind("second encoding", (), _second_encoding, seconds=0.2),
    )
}
