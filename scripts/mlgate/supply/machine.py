"""Runs a pickle program without running anything: every opcode moves records about, and names are only written down.

The order of bytes read is that of CPython's two unpicklers. What the two read differently is refused.
"""

from __future__ import annotations

import _compat_pickle
import io
import pickle
import re
import struct
from collections.abc import Callable
from typing import Any

from mlgate.supply.limits import Budget, MalformedError, skip
from mlgate.supply.names import Name
from mlgate.supply.values import SOMETHING, Blob, Global, Items, Made, Mapping

_SHORT = 4096  # text up to this many octets is kept: a name may be made of it
_NESTED = (b"\x80", b"PK\x03\x04", b"\x1f\x8b", b"(", b"c", b"]", b"}", b"\x93NUMPY")  # first bytes of what is kept
_DECIMAL = re.compile(rb"-?[0-9]{1,19}")


class FrameError(MalformedError):
    """What comes next depends on who reads it."""


class Machine:
    """One program. The three hooks say what it would do; `stop` is where the program ends."""

    def __init__(
        self,
        source: io.BufferedReader,
        budget: Budget,
        *,
        named: Callable[[Name], None],
        call: Callable[[Any, tuple[Any, ...]], Any],
        built: Callable[[Machine, Any, Any], Any],
        blob: Callable[[bytes], None],
        storages: bool = False,
    ) -> None:
        self._file = source
        self._budget = budget
        self._named = named
        self._call = call
        self._built = built
        self._blob = blob
        self._storages = storages  # persistent ids name the storages of tensors
        self.source = source
        self._left = 0  # octets of the frame under way
        self.proto = 0
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._puts = 0

    def run(self) -> Any:
        """What a loader would return. Raises MalformedError where a loader would fail, LimitError at a limit."""
        table, steps = _TABLE, 0
        try:
            while True:
                code = self._read(1)[0]
                steps += 1
                if not steps & 0xFFF:
                    self._budget.step(0x1000)
                if code == _STOP:
                    return self._stack.pop()
                handler = table[code]
                if handler is None:
                    raise MalformedError(f"has a byte (0x{code:02x}) that is no instruction of a pickle")
                handler(self)
        except (IndexError, struct.error, UnicodeDecodeError, ValueError, TypeError, OverflowError) as error:
            raise MalformedError(f"is a broken pickle ({type(error).__name__})") from error
        finally:
            self._budget.step(steps & 0xFFF)

    # Reading

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise MalformedError("ends too soon")
        self._frame(size)
        return data

    def _line(self) -> bytes:
        data = self._file.readline(1 << 20)
        if data[-1:] != b"\n":
            raise MalformedError("ends too soon")
        self._frame(len(data))
        return data[:-1]

    def _frame(self, size: int) -> None:
        """Of CPython's two unpicklers one fails at the end of a frame, and the other loses octets of a line there:
        what stands in the file as `sklearn.xsubprocess` it takes for `subprocess`."""
        if self._left > 0:
            if size > self._left:
                raise FrameError("has an instruction that crosses the end of its frame, as no pickler writes it")
            self._left -= size

    def _bytes(self, size: int) -> Any:
        """Kept only where it may be a file of its own; else passed over."""
        data = self._read(min(size, 8))
        if size > _SHORT and (size > 256 << 20 or not data.startswith(_NESTED)):
            self._pass(size - len(data))
            return SOMETHING
        self._budget.keep(size)  # one at a time: it is looked into now
        data += self._read(size - len(data))
        if size > 8:
            self._blob(data)
        self._budget.keep(-size)
        return Blob(data) if size <= _SHORT else SOMETHING

    def _pass(self, size: int) -> None:
        self._frame(size)
        skip(self._file, size)

    def _text(self, size: int) -> Any:
        if size > _SHORT:
            self._pass(size)
            return SOMETHING
        return str(self._read(size), "utf-8", "surrogatepass")

    def _uint(self, size: int) -> int:
        return int.from_bytes(self._read(size), "little")

    # The stack

    def _marked(self) -> list[Any]:
        if not self._marks:
            raise MalformedError("is a broken pickle (no mark)")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _put(self, index: int) -> None:
        self._puts += 1
        # CPython makes room for the largest index at once: a number here is all that a bomb needs.
        if index < 0 or index > 2 * self._puts + 100_000:
            raise MalformedError("numbers what it remembers far beyond what it holds, which takes a loader's memory")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise MalformedError("is a broken pickle (it asks for what it has not remembered)")
        self._stack.append(self._memo[index])

    def _number(self, line: bytes) -> int:
        if not _DECIMAL.fullmatch(line):
            raise MalformedError("is a broken pickle (a number)")
        return int(line)

    # Names and calls

    def name(self, module: Any, attribute: Any) -> Global:
        if type(module) is not str or type(attribute) is not str:
            raise MalformedError("makes up a name as it goes, so what it would load cannot be told")
        if self.proto < 3:
            if (module, attribute) in _compat_pickle.NAME_MAPPING:
                module, attribute = _compat_pickle.NAME_MAPPING[module, attribute]
            elif module in _compat_pickle.IMPORT_MAPPING:
                module = _compat_pickle.IMPORT_MAPPING[module]
        self._named((module, attribute))
        return Global((module, attribute))

    def _calls(self, what: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise MalformedError("calls something with arguments that cannot be told")
        self._stack.append(self._call(what, arguments))

    def reduce(self) -> None:
        arguments = self._stack.pop()
        self._calls(self._stack.pop(), arguments)

    def new(self) -> None:
        arguments = self._stack.pop()
        self._calls(self._stack.pop(), arguments)

    def new_ex(self) -> None:
        self._stack.pop()
        arguments = self._stack.pop()
        self._calls(self._stack.pop(), arguments)

    def inst(self) -> None:
        module, attribute = self._line().decode("ascii"), self._line().decode("ascii")
        what = self.name(module, attribute)  # imported before it is known whether there is a mark
        self._calls(what, tuple(self._marked()))

    def obj(self) -> None:
        arguments = self._marked()
        self._calls(arguments[0], tuple(arguments[1:]))

    def global_(self) -> None:
        module, attribute = self._line().decode("utf-8"), self._line().decode("utf-8")
        self._stack.append(self.name(module, attribute))

    def stack_global(self) -> None:
        attribute = self._stack.pop()
        self._stack.append(self.name(self._stack.pop(), attribute))

    def build(self) -> None:
        state = self._stack.pop()
        self._stack[-1] = self._built(self, self._stack[-1], state)

    def pid(self) -> None:
        if not self._storages:
            raise MalformedError("refers to objects outside of the file")
        pid = self._stack.pop()
        if not isinstance(pid, tuple) or not pid or pid[0] != "storage":
            raise MalformedError("refers to objects outside of the file")
        self._stack.append(SOMETHING)

    # Containers

    def _into(self, target: Any, pairs: list[Any]) -> None:
        if isinstance(target, Mapping):
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                target.put(key, value)
        elif not isinstance(target, Made):
            raise MalformedError("sets items of something that is no container")

    def _onto(self, target: Any) -> None:
        if not isinstance(target, (Items, Made)):
            raise MalformedError("adds items to something that is no container")

    def setitems(self) -> None:
        pairs = self._marked()
        self._into(self._stack[-1], pairs)

    def setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._into(self._stack[-1], [key, value])

    def appends(self) -> None:
        self._marked()
        self._onto(self._stack[-1])

    def append(self) -> None:
        self._stack.pop()
        self._onto(self._stack[-1])

    def dict_(self) -> None:
        pairs = self._marked()
        made = Mapping()
        self._into(made, pairs)
        self._stack.append(made)

    def collect(self) -> None:
        self._marked()
        self._stack.append(Items())

    def tuple_(self) -> None:
        items = tuple(self._marked())
        self._stack.append(items)

    def tuple_of(self, size: int) -> None:
        if len(self._stack) < size:
            raise MalformedError("is a broken pickle (stack)")
        self._stack[-size:] = [tuple(self._stack[-size:])]

    # The rest

    def mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def protocol(self) -> None:
        self.proto = self._uint(1)
        if self.proto > pickle.HIGHEST_PROTOCOL:
            raise MalformedError(f"is of pickle protocol {self.proto}, which mlgate does not know")

    def framed(self) -> None:
        size = self._uint(8)
        if self.framing:
            raise FrameError("begins a frame inside of another, as no pickler does")
        self._left = size

    @property
    def framing(self) -> bool:
        """Whether a frame is under way: then what follows it in the file is not what comes next."""
        return self._left > 0

    def integer(self) -> None:
        line = self._line()
        if line in (b"00", b"01"):
            self.push(line == b"01")
        else:
            self.push(self._number(line) if len(line) < 20 else SOMETHING)

    def float_(self) -> None:
        self._line()
        self.push(SOMETHING)

    def double(self) -> None:
        self._read(8)
        self.push(SOMETHING)

    def long(self) -> None:
        line = self._line().removesuffix(b"L")
        self.push(self._number(line) if len(line) < 20 else SOMETHING)

    def long_of(self, width: int) -> None:
        size = self._uint(width)
        if size >= 1 << 31:
            raise MalformedError("is a broken pickle (a number)")
        if size > 16:
            self._pass(size)
            self.push(SOMETHING)
        else:
            self.push(int.from_bytes(self._read(size), "little", signed=True))

    def string(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise MalformedError("is a broken pickle (text)")
        inner = line[1:-1]
        # Escapes could spell a name in another way than it is read here, and no name needs them.
        self.push(
            inner.decode("ascii") if len(inner) < _SHORT and b"\\" not in inner and inner.isascii() else SOMETHING
        )

    def string_of(self, size: int) -> None:
        data = self._bytes(size)
        self.push(data.data.decode("ascii") if isinstance(data, Blob) and data.data.isascii() else data)

    def unicode(self) -> None:
        line = self._line()
        self.push(str(line, "raw-unicode-escape") if len(line) < _SHORT else SOMETHING)

    def refuse_extension(self) -> None:
        raise MalformedError("uses the registry of extensions, so what it would load cannot be told")

    def refuse_persistent(self) -> None:
        raise MalformedError("refers to objects outside of the file")

    def refuse_buffer(self) -> None:
        raise MalformedError("needs buffers that are not in the file")


_STOP = ord(".")
_READS: dict[bytes, Callable[[Machine], Any]] = {
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine._marked,
    b"2": lambda m: m.push(m._stack[-1]),
    b"F": Machine.float_,
    b"G": Machine.double,
    b"I": Machine.integer,
    b"J": lambda m: m.push(struct.unpack("<i", m._read(4))[0]),
    b"K": lambda m: m.push(m._uint(1)),
    b"M": lambda m: m.push(m._uint(2)),
    b"L": Machine.long,
    b"\x8a": lambda m: m.long_of(1),
    b"\x8b": lambda m: m.long_of(4),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"P": Machine.refuse_persistent,
    b"Q": Machine.pid,
    b"R": Machine.reduce,
    b"S": Machine.string,
    b"T": lambda m: m.string_of(struct.unpack("<I", m._read(4))[0]),
    b"U": lambda m: m.string_of(m._uint(1)),
    b"B": lambda m: m.push(m._bytes(m._uint(4))),
    b"C": lambda m: m.push(m._bytes(m._uint(1))),
    b"\x8e": lambda m: m.push(m._bytes(m._uint(8))),
    b"\x96": lambda m: m.push(m._bytes(m._uint(8))),
    b"\x97": Machine.refuse_buffer,
    b"\x98": Machine.refuse_buffer,
    b"V": Machine.unicode,
    b"X": lambda m: m.push(m._text(m._uint(4))),
    b"\x8c": lambda m: m.push(m._text(m._uint(1))),
    b"\x8d": lambda m: m.push(m._text(m._uint(8))),
    b"a": Machine.append,
    b"e": Machine.appends,
    b"b": Machine.build,
    b"c": Machine.global_,
    b"\x93": Machine.stack_global,
    b"d": Machine.dict_,
    b"}": lambda m: m.push(Mapping()),
    b"l": Machine.collect,
    b"]": lambda m: m.push(Items()),
    b"\x8f": lambda m: m.push(Items()),
    b"\x90": Machine.appends,
    b"\x91": Machine.collect,
    b"i": Machine.inst,
    b"o": Machine.obj,
    b"\x81": Machine.new,
    b"\x92": Machine.new_ex,
    b"s": Machine.setitem,
    b"u": Machine.setitems,
    b"t": Machine.tuple_,
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"g": lambda m: m._get(m._number(m._line())),
    b"h": lambda m: m._get(m._uint(1)),
    b"j": lambda m: m._get(m._uint(4)),
    b"p": lambda m: m._put(m._number(m._line())),
    b"q": lambda m: m._put(m._uint(1)),
    b"r": lambda m: m._put(m._uint(4)),
    b"\x94": lambda m: m._put(len(m._memo)),
    b"\x80": Machine.protocol,
    b"\x95": Machine.framed,
    b"\x82": Machine.refuse_extension,
    b"\x83": Machine.refuse_extension,
    b"\x84": Machine.refuse_extension,
}
_TABLE: list[Callable[[Machine], Any] | None] = [_READS.get(bytes((code,))) for code in range(256)]
