"""Pickles of every kind: plain, several in a row, joblib's with arrays between, torch's with tensors outside."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

from mlgate.supply import names
from mlgate.supply.limits import LimitError, MalformedError, skip
from mlgate.supply.machine import FrameError, Machine
from mlgate.supply.names import Name, Standing
from mlgate.supply.report import Scan, listed, plain
from mlgate.supply.values import SOMETHING, Blob, Global, Made, Mapping, item_of

Opener = Callable[[], io.BufferedReader]
Inner = Callable[[bytes], None]  # looks into bytes that may be a file of their own

_WRAPPER = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_KEPT = {"dtype", "CodeType", "_builtin_type", "code"}


class Program:
    """What one stream of pickles would do to whom loads it."""

    def __init__(self, scan: Scan, inner: Inner, *, arrays: bool, storages: bool = False) -> None:
        self._scan = scan
        self._inner = inner
        self._arrays = arrays  # as joblib reads: the bytes of an array follow its wrapper
        self.storages = storages
        self.named: dict[Name, None] = {}
        self.called: dict[Name, None] = {}
        self.by_value: dict[str, None] = {}
        self.modules: dict[str, None] = {}
        self.tricks: dict[str, None] = {}
        self.wrappers = 0
        self.objects = 0

    def run(self, source: io.BufferedReader) -> Any:
        return Machine(
            source,
            self._scan.budget,
            named=self._name,
            call=self._call,
            built=partial(self._build, self._arrays),
            blob=self._inner,
            storages=self.storages,
        ).run()

    def _name(self, name: Name) -> None:
        self.named[name] = None

    def _call(self, what: Any, arguments: tuple[Any, ...]) -> Any:
        if isinstance(what, Made):
            if not _is_by_value(what):
                self.tricks["calls what it has only just made"] = None
            return Made(what, arguments)
        if not isinstance(what, Global):
            raise MalformedError("calls something that is no name")
        self.called[what.name] = None
        if names.is_by_value(what.name):
            self._rebuild(what.name[1], arguments)
        elif what.name == ("_codecs", "encode"):
            return self._encoded(arguments)
        elif what.name in (("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")):
            # The way of protocols 0 and 1 to say: an object of this class.
            if not arguments or not isinstance(arguments[0], (Global, Made)):
                raise MalformedError("makes an object of something that is no class")
            return self._call(arguments[0], ())
        return Made(what, arguments if what.name[1] in _KEPT else ())

    def _encoded(self, arguments: tuple[Any, ...]) -> Any:
        """Bytes, as protocols before 3 write them."""
        text = arguments[0] if arguments else None
        if isinstance(text, str):
            data = text.encode("latin-1", "replace")
            if len(data) > 8:
                self._inner(data)
            return Blob(data)
        return SOMETHING

    def _rebuild(self, how: str, arguments: tuple[Any, ...]) -> None:
        """Writes down whose code it is that comes out of the file."""
        if how == "subimport":
            self.modules[arguments[0] if arguments and isinstance(arguments[0], str) else "?"] = None
        elif how == "_make_function":
            scope = arguments[1] if len(arguments) > 1 else None
            module = scope.known.get("__name__") if isinstance(scope, Mapping) else None
            name = _code_name(arguments[0]) if arguments else None
            self.by_value[f"{module if isinstance(module, str) else '?'}.{name or '?'}"] = None
        elif how == "_make_skeleton_class":
            name = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], str) else "?"
            words = arguments[3] if len(arguments) > 3 else None
            module = words.known.get("__module__") if isinstance(words, Mapping) else None
            self.by_value[f"{module if isinstance(module, str) else '?'}.{name}"] = None
        elif how == "_make_skeleton_enum":
            name, module = (arguments[2], arguments[4]) if len(arguments) > 4 else ("?", "?")
            self.by_value[f"{module if isinstance(module, str) else '?'}.{name if isinstance(name, str) else '?'}"] = (
                None
            )
        elif how in ("dynamic_subimport", "_make_skel_func", "_fill_function", "_rehydrate_skeleton_class", "instance"):
            name = arguments[0] if arguments and isinstance(arguments[0], str) else "?"
            self.by_value[name] = None

    def _build(self, arrays: bool, machine: Machine, what: Any, state: Any) -> Any:
        if isinstance(what, Global):
            self.tricks[f"changes {names.joined(what.name)} itself while it is loaded"] = None
            return what
        if not isinstance(what, Made):
            raise MalformedError("sets the state of something that has none")
        name = what.of.name if isinstance(what.of, Global) else ("", "")
        if name[1] == "dtype":
            what.state = state
        if name[1] == "NumpyArrayWrapper" and names.standing(name, ()) is Standing.KNOWN:
            self.wrappers += 1
            if arrays:
                self._array(machine, state)
                return SOMETHING
        return what

    def _array(self, machine: Machine, state: Any) -> None:
        """Passes over the numbers of an array in the stream, as joblib would read them."""
        if not isinstance(state, Mapping) or not set(state.known) <= _WRAPPER or machine.framing:
            raise MalformedError("has an array that is not as joblib writes it")
        shape, item = state.known.get("shape"), item_of(state.known.get("dtype"))
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or item is None:
            raise MalformedError("has an array whose size cannot be told")
        octets, objects = item
        if objects:
            self.objects += 1
            Machine(
                machine.source,
                self._scan.budget,
                named=self._name,
                call=self._call,
                built=partial(self._build, False),
                blob=self._inner,
            ).run()
            return
        for size in shape:
            octets *= size
        alignment = state.known.get("numpy_array_alignment_bytes")
        if alignment is not None:
            padding = machine.source.read(1)
            if not padding:
                raise MalformedError("ends too soon")
            skip(machine.source, padding[0])
        skip(machine.source, octets)


def _is_by_value(made: Made) -> bool:
    while isinstance(made.of, Made):
        made = made.of
    return isinstance(made.of, Global) and names.is_by_value(made.of.name)


def _code_name(code: Any) -> str | None:
    """The qualified name of a pickled code object: `Encoder.transform`."""
    if not isinstance(code, Made):
        return None
    texts = [part for part in code.args if isinstance(part, str)]  # file name, name, and newer: qualified name
    return texts[-1] if len(texts) >= 2 else None


def strict(scan: Scan, file: str, opener: Opener, inner: Inner, *, storages: bool = False) -> None:
    """Looks through a file that is a pickle, or says that it is one."""
    program = Program(scan, inner, arrays=True, storages=storages)
    try:
        _all(program, opener())
    except MalformedError as error:
        scan.doubt(file, f"it {error}, so it cannot be vouched for.")
    except LimitError as error:
        scan.limit(file, error)
    _judge(scan, file, program)
    if program.wrappers and not scan.spent:
        # Loaded by pickle instead of joblib, what passed for the numbers of an array would be instructions.
        suspect(scan, file, opener, inner, jumbled=program.objects > 0)


def _all(program: Program, source: io.BufferedReader) -> None:
    """Each pickle of the file: whoever reads on after the first one finds the next."""
    count = 0
    while not count or source.peek(1):
        before = len(program.named)
        try:
            value = program.run(source)
        except MalformedError:
            if not count or len(program.named) != before:
                raise
            raise MalformedError("has bytes behind its end that are no pickle") from None
        count += 1
        if count == 1 and value == _TORCH_MAGIC:
            # As torch wrote before it wrote archives: version, system, model, keys, and then the bare numbers.
            program.storages = True
            for _ in range(4):
                program.run(source)
            return


def suspect(scan: Scan, file: str, opener: Opener, inner: Inner, *, jumbled: bool = False) -> None:
    """Looks at bytes that are not known to be a pickle, for what would happen if somebody took them for one.

    Only what is called counts, up to where a loader would fail: in other bytes names turn up by chance. `jumbled`: it
    has pickles between, whose references to what was remembered then lead to other texts; most of the names that
    come of it exist nowhere.
    """
    program = Program(scan, inner, arrays=False, storages=True)
    try:
        program.run(opener())
    except FrameError as error:
        scan.doubt(file, f"it would, read as a pickle, do what cannot be told: it {error}.")
    except MalformedError:
        pass
    except LimitError as error:
        scan.limit(file, error)
    called = [
        name
        for name in program.called
        if _is_name(name)
        and not names.is_by_value(name)
        and names.standing(name, scan.trusted) in (Standing.HARMFUL, Standing.UNKNOWN)
        and (not jumbled or names.may_exist(name))
    ]
    if called:
        scan.judge(file, called, how="would, read as a pickle, call")
    _judge_code(scan, file, program)


def _is_name(name: Name) -> bool:
    return all(part.isidentifier() for part in f"{name[0]}.{name[1]}".split("."))


def _judge(scan: Scan, file: str, program: Program) -> None:
    for trick in program.tricks:
        scan.harm(file, f"it {trick}, as no saved model does.")
    _judge_code(scan, file, program)
    for module in program.modules:
        if not names.is_plain_module(module) and not scan.trusts(module):
            scan.doubt(file, f"it loads the module `{plain(module)}` as a whole.", [module])
    scan.judge(file, [name for name in program.named if not names.is_by_value(name)])


def _judge_code(scan: Scan, file: str, program: Program) -> None:
    untrusted = [one for one in program.by_value if not _trusted_code(scan, one)]
    if untrusted:
        named = [one for one in untrusted if "?" not in one]
        what = listed(named) or "functions without a name"
        scan.doubt(file, f"it carries code by value ({what}), which runs when the model is loaded or used.", named)


def _trusted_code(scan: Scan, full: str) -> bool:
    """`__main__.Encoder` covers its methods, and the functions inside of them."""
    if "?" in full:
        return False
    parts = full.split(".")
    return any(scan.trusts(".".join(parts[: end + 1])) for end in range(1, len(parts))) or scan.trusts(full)
