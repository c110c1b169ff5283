"""LLVM code for vectors of eight 64-bit words: memory, rows and columns, masks."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from pvcnn.algebra.kernels.words import WORD, Builder, Value

LANES = 8
VECTOR = ir.VectorType(WORD, LANES)
BYTES = 64

_BYTE = ir.IntType(8)
_INDEX = ir.IntType(32)
_FLAGS = ir.VectorType(ir.IntType(1), LANES)


def splat(value: int) -> ir.Constant:
    """A constant in every lane."""
    return ir.Constant(VECTOR, [value] * LANES)


def broadcast(builder: Builder, word: Value) -> Value:
    """A word in every lane."""
    single = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), word, _INDEX(0))
    return _shuffle(builder, single, single, [0] * LANES)


def rotate_lanes(builder: Builder, vector: Value, distance: int) -> Value:
    """Lane i gets what lane i + distance has, modulo eight."""
    return _shuffle(builder, vector, vector, [(i + distance) % LANES for i in range(LANES)])


def pointer(builder: Builder, address: Value, offset: int = 0) -> Value:
    """A pointer to the vector at an address (a word) plus an offset in bytes."""
    moved = builder.add(address, WORD(offset)) if offset else address
    return builder.inttoptr(moved, VECTOR.as_pointer())


def load(builder: Builder, address: Value, offset: int = 0) -> Value:
    return builder.load(pointer(builder, address, offset), align=8)


def store(builder: Builder, value: Value, address: Value, offset: int = 0) -> None:
    builder.store(value, pointer(builder, address, offset), align=8)


def load_words(builder: Builder, address: Value, count: int) -> Value:
    """The first `count` lanes from memory, which is not touched beyond them; the others 0."""
    name = "llvm.masked.load.v8i64.p0"
    kind = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), _INDEX, _FLAGS, VECTOR])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, [pointer(builder, address), _INDEX(8), _first(count), splat(0)])


def store_words(builder: Builder, value: Value, address: Value, count: int) -> None:
    """Writes the first `count` lanes, and nothing beyond them."""
    name = "llvm.masked.store.v8i64.p0"
    kind = ir.FunctionType(ir.VoidType(), [VECTOR, VECTOR.as_pointer(), _INDEX, _FLAGS])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(function, [value, pointer(builder, address), _INDEX(8), _first(count)])


def lane(builder: Builder, vector: Value, index: int) -> Value:
    return builder.extract_element(vector, _INDEX(index))


def transpose(builder: Builder, rows: Sequence[Value]) -> list[Value]:
    """Eight vectors: lane j of row i becomes lane i of column j."""
    current = list(rows)
    for size in (1, 2, 4):
        low = [i if not i & size else i - size + LANES for i in range(LANES)]
        high = [i + size if not i & size else i + LANES for i in range(LANES)]
        following = list(current)
        for i in range(LANES):
            if not i & size:
                following[i] = _shuffle(builder, current[i], current[i + size], low)
                following[i + size] = _shuffle(builder, current[i], current[i + size], high)
        current = following
    return current


def to_byte(builder: Builder, flags: Value) -> Value:
    """Eight flags as a byte, lane 0 its lowest bit."""
    return builder.bitcast(flags, _BYTE)


def to_flags(builder: Builder, byte: Value) -> Value:
    """A byte's bits as eight flags."""
    return builder.bitcast(byte, _FLAGS)


def prefetch(builder: Builder, address: Value, *, write: bool) -> None:
    """Asks for the cache line at an address, valid or not, to read or to write it."""
    pointer_type = _BYTE.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer_type, _INDEX, _INDEX, _INDEX])
    name = "llvm.prefetch.p0"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    builder.call(
        function, [builder.inttoptr(address, pointer_type), _INDEX(int(write)), _INDEX(3), _INDEX(1)]
    )


def _first(count: int) -> ir.Constant:
    return ir.Constant(_FLAGS, [int(i < count) for i in range(LANES)])


def _shuffle(builder: Builder, left: Value, right: Value, lanes: Sequence[int]) -> Value:
    mask = ir.Constant(ir.VectorType(_INDEX, LANES), list(lanes))
    return builder.shuffle_vector(left, right, mask)
