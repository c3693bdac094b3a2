"""Which names a model file may load: those of known libraries that only hold data, and those that a person trusts.

A name that is allowed may be called with whatever the file says, so nothing belongs here that reads or writes files,
starts a process, imports, evaluates text or calls what it is given to call at once. (SciPy's distributions, for one,
execute text from their own state.) A name that is not here is never taken for safe.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from enum import Enum

Name = tuple[str, str]  # module, name in it


class Standing(Enum):
    KNOWN = "known"  # holds data
    TRUSTED = "trusted"  # by name, in mlgate.yaml
    UNKNOWN = "unknown"  # nobody has said what it does
    HARMFUL = "harmful"  # known to run what it is given


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXACT = {
    "abc": "ABC ABCMeta",
    "builtins": "bool bytearray bytes classmethod complex dict float frozenset int list object property range set "
    "slice staticmethod str tuple type Ellipsis NotImplemented",
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "_codecs": "encode",
    "collections": "OrderedDict Counter defaultdict deque",
    "datetime": "date datetime time timedelta timezone",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "partial",
    "operator": "itemgetter",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "re": "_compile",
    "uuid": "UUID SafeUUID",
    "array": "array _array_reconstructor",
    "joblib.numpy_pickle": "NumpyArrayWrapper",
    "sklearn.externals.joblib.numpy_pickle": "NumpyArrayWrapper",
    # numpy
    "numpy": "ndarray dtype matrix recarray record generic number integer signedinteger unsignedinteger inexact "
    "floating complexfloating flexible character bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc "
    "intp uintc uintp int_ uint longlong ulonglong byte ubyte short ushort half single double longdouble float16 "
    "float32 float64 float128 csingle cdouble clongdouble complex64 complex128 complex256 str_ bytes_ void object_ "
    "datetime64 timedelta64 poly1d "
    "mean median average std var min max amin amax sum prod nanmean nanmedian nanstd nanvar nanmin nanmax nansum ptp "
    "quantile percentile asarray array clip round around where",
    "numpy.ma": "MaskedArray",
    "numpy.rec": "recarray record",
    "numpy.matrixlib.defmatrix": "matrix",
    "numpy.random": "RandomState Generator MT19937 PCG64 PCG64DXSM Philox SFC64 SeedSequence __RandomState_ctor",
    "numpy.random.mtrand": "RandomState",
    "numpy.random._generator": "Generator",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    # scipy
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.interpolate": "BSpline PPoly CubicSpline PchipInterpolator Akima1DInterpolator interp1d",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.interpolate._cubic": "CubicSpline PchipInterpolator Akima1DInterpolator",
    "scipy.interpolate._interpolate": "PPoly BPoly interp1d",
    "scipy.interpolate.interpolate": "PPoly BPoly interp1d",
    "scipy.spatial": "cKDTree KDTree",
    "scipy.spatial._ckdtree": "cKDTree",
    "scipy.spatial._kdtree": "KDTree",
    "scipy.spatial.ckdtree": "cKDTree",
    "scipy.spatial.kdtree": "KDTree",
    # pandas; its classes whose construction opens files are not here
    "pandas": "DataFrame Series Index RangeIndex MultiIndex DatetimeIndex TimedeltaIndex PeriodIndex IntervalIndex "
    "CategoricalIndex Categorical CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype SparseDtype StringDtype "
    "BooleanDtype Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype "
    "Float32Dtype Float64Dtype ArrowDtype Interval Timestamp Timedelta Period NA NaT",
    "pandas.arrays": "ArrowExtensionArray ArrowStringArray BooleanArray DatetimeArray FloatingArray IntegerArray "
    "IntervalArray NumpyExtensionArray PandasArray PeriodArray SparseArray StringArray TimedeltaArray",
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked NDArrayBacked",
    "pandas._libs.internals": "_unpickle_block BlockPlacement",
    "pandas._libs.interval": "Interval __pyx_unpickle_IntervalMixin",
    "pandas._libs.missing": "NAType",
    "pandas._libs.sparse": "IntIndex BlockIndex",
    "pandas._libs.tslibs.nattype": "_nat_unpickle __nat_unpickle NaTType",
    "pandas._libs.tslibs.offsets": "Day Hour Minute Second Milli Micro Nano Week MonthEnd MonthBegin QuarterEnd "
    "QuarterBegin YearEnd YearBegin BusinessDay",
    "pandas._libs.tslibs.period": "Period",
    "pandas._libs.tslibs.timedeltas": "_timedelta_unpickle Timedelta",
    "pandas._libs.tslibs.timestamps": "_unpickle_timestamp Timestamp",
    "pandas.core.arrays.arrow.array": "ArrowExtensionArray",
    "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.datetimes": "DatetimeArray",
    "pandas.core.arrays.floating": "FloatingArray Float32Dtype Float64Dtype",
    "pandas.core.arrays.integer": "IntegerArray Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype "
    "UInt32Dtype UInt64Dtype",
    "pandas.core.arrays.interval": "IntervalArray",
    "pandas.core.arrays.numpy_": "NumpyExtensionArray PandasArray",
    "pandas.core.arrays.period": "PeriodArray",
    "pandas.core.arrays.sparse.array": "SparseArray",
    "pandas.core.arrays.string_": "StringArray StringDtype",
    "pandas.core.arrays.string_arrow": "ArrowStringArray",
    "pandas.core.arrays.timedeltas": "TimedeltaArray",
    "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype SparseDtype ArrowDtype",
    "pandas.core.frame": "DataFrame",
    "pandas.core.indexes.base": "_new_Index Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "_new_DatetimeIndex DatetimeIndex",
    "pandas.core.indexes.frozen": "FrozenList",
    "pandas.core.indexes.interval": "IntervalIndex _new_IntervalIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.numeric": "Int64Index UInt64Index Float64Index",
    "pandas.core.indexes.period": "PeriodIndex _new_PeriodIndex",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.indexes.timedeltas": "TimedeltaIndex",
    "pandas.core.internals.blocks": "new_block Block ExtensionBlock NumpyBlock NumericBlock ObjectBlock "
    "DatetimeLikeBlock DatetimeTZBlock CategoricalBlock",
    "pandas.core.internals.managers": "BlockManager SingleBlockManager",
    "pandas.core.series": "Series",
    "pyarrow.lib": "_restore_array py_buffer type_for_alias",
    # scikit-learn: what is in lower case. Its classes are below.
    "sklearn.cluster._kmeans": "_kmeans_single_lloyd _kmeans_single_elkan",
    "sklearn.compose._column_transformer": "make_column_selector",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_regression f_oneway r_regression",
    "sklearn.metrics._dist_metrics": "newObj",
    "sklearn.metrics._scorer": "_passthrough_scorer",
    "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.neighbors._dist_metrics": "newObj",
    "sklearn.neighbors._kd_tree": "newObj",
    "sklearn.neighbors.ball_tree": "newObj",
    "sklearn.neighbors.dist_metrics": "newObj",
    "sklearn.neighbors.kd_tree": "newObj",
    # boosted trees
    "xgboost.core": "Booster",
    "lightgbm.basic": "Booster",
    "lightgbm.compat": "_LGBMLabelEncoder LGBMLabelEncoder",
    "catboost.core": "CatBoost CatBoostClassifier CatBoostRegressor CatBoostRanker",
    "mlflow.models.signature": "_TypeHints",
    "mlflow.pyfunc.model": "PythonModel",
    # torch: tensors and layers
    "torch": "Size Tensor device dtype layout bool uint8 int8 int16 int32 int64 float16 float32 float64 bfloat16 "
    "complex64 complex128 half float double short int long strided "
    "FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage "
    "ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage",
    "torch._tensor": "_rebuild_from_type_v2",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
    "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor",
    "torch.nn.parameter": "Parameter Buffer",
    "torch.serialization": "_get_layout",
    "torch.storage": "TypedStorage UntypedStorage",
    "torch.torch_version": "TorchVersion",
}  # fmt: skip
_UFUNCS = (
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil conj cos cosh deg2rad degrees "
    "divide equal exp exp2 expm1 fabs floor floor_divide fmax fmin fmod greater greater_equal hypot invert isfinite "
    "isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or maximum minimum "
    "mod multiply negative not_equal positive power rad2deg radians reciprocal remainder rint sign sin sinh sqrt "
    "square subtract tan tanh true_divide trunc"
)
_SPECIAL = (
    "expit logit softmax log_softmax logsumexp erf erfc erfinv gamma gammaln digamma xlogy xlog1py log1p expm1 boxcox "
    "inv_boxcox boxcox1p inv_boxcox1p ndtr ndtri kl_div rel_entr entr"
)
_KNOWN: dict[str, frozenset[str]] = {module: words(names) for module, names in _EXACT.items()}
_KNOWN["numpy"] |= words(_UFUNCS)
_KNOWN["scipy.special"] = words(_SPECIAL)
_KNOWN["scipy.special._ufuncs"] = words(_SPECIAL)
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_core}.multiarray"] = frozenset({"_reconstruct", "scalar", "ndarray", "dtype"})
    _KNOWN[f"{_core}.numeric"] = frozenset({"_frombuffer"})
    _KNOWN[f"{_core}.records"] = frozenset({"recarray", "record"})
for _ma in ("numpy.ma.core", "numpy.ma"):
    _KNOWN[_ma] = frozenset({"MaskedArray", "_mareconstruct", "MaskedConstant", "masked_array"})
for _form in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil"):
    _both = frozenset({f"{_form}_matrix", f"{_form}_array"})
    for _home in (f"scipy.sparse._{_form}", f"scipy.sparse.{_form}", "scipy.sparse"):
        _KNOWN[_home] = _KNOWN.get(_home, frozenset()) | _both

_CLASS = r"_?[A-Z][A-Za-z0-9]*"
# Whole families, by how their classes are named. A test walks the installed scikit-learn and looks at what this lets
# through that scikit-learn did not define itself.
_FAMILIES = tuple(
    (re.compile(module), re.compile(name))
    for module, name in (
        (
            r"sklearn(?!.*\.(externals|datasets|tests|conftest|callback)(\.|$))"
            r"(?!.*(_testing|estimator_checks|_build_utils|_show_versions|_joblib|_mocking|_test_common))(\.\w+)*",
            _CLASS + r"|__pyx_unpickle_[A-Z]\w*",
        ),
        (r"sklearn\.metrics(\._(classification|regression|ranking|scorer))?", r"[a-z][a-z0-9_]*_(score|error|loss)"),
        (r"imblearn\.(combine|ensemble|over_sampling|pipeline|under_sampling)(\.\w+)*", _CLASS),
        (r"xgboost\.sklearn", r"XGB[A-Za-z]+"),
        (r"lightgbm\.sklearn", r"LGBM[A-Za-z]+|_LGBM[A-Za-z]+"),
        (
            r"torch\.nn\.modules\.(activation|batchnorm|container|conv|distance|dropout|flatten|fold|instancenorm|"
            r"linear|loss|normalization|padding|pixelshuffle|pooling|rnn|sparse|transformer|upsampling)",
            _CLASS,
        ),
    )
)

# Whatever else is asked of these is not a question of knowing it: running things is what they are for.
_HARMFUL_ROOTS = words(
    "_io _osx_support _pickle _posixsubprocess _pyrepl _socket _thread _winapi ast asyncio atexit bdb builtins "
    "cProfile cffi cgi cgitb code codecs codeop commands compileall concurrent copy copyreg ctypes dbm distutils "
    "doctest ensurepip fickling ftplib functools gc glob http idlelib imaplib imp importlib inspect io joblib "
    "lib2to3 linecache logging marshal mimetypes modelscan modulefinder multiprocessing nt ntpath operator os pdb "
    "picklescan pickle pip pkgutil platform poplib popen2 posix posixpath profile pty py_compile pydoc requests "
    "rlcompleter runpy sched select selectors setuptools shelve shutil signal site smtplib socket socketserver "
    "sqlite3 ssl subprocess sys sysconfig telnetlib tempfile test_support threading timeit tkinter trace "
    "traceback types typing unittest urllib urllib2 urllib3 uvicorn venv webbrowser winreg wsgiref xml xmlrpc "
    "zipapp zipfile zipimport "
)
_HARMFUL = re.compile(
    r"(numpy\.(testing|f2py|distutils|ctypeslib|lib\.npyio|lib\._npyio_impl|load|fromfile|memmap|save|loads)"
    r"|scipy\.(stats\._(distn_infrastructure|continuous_distns|discrete_distns)|io|weave)"
    r"|pandas\.(read_|io\.|eval|core\.computation)|pandas\.(HDFStore|ExcelFile|ExcelWriter)"
    r"|torch\.(load|save|hub|jit|package|utils|distributed|multiprocessing|serialization|fx|_dynamo|_inductor|testing)"
    r"|sklearn\.(datasets|externals)|dill\.|numpy\.(core|_core)\._ufunc_reconstruct"
    r"|keras\..*(Lambda|deserialize|load_model))"
)

# Wherever these stand in a dotted name, it reaches for what runs things: `sklearn.utils.fixes.platform.os.system`.
_REACH = words(
    "os posix nt sys subprocess builtins __builtins__ __globals__ __import__ __subclasses__ __loader__ __spec__ "
    "importlib ctypes socket pty shutil eval exec compile system popen Popen spawn"
)

# Names that rebuild functions and classes from code in the file itself.
BY_VALUE = words(
    "_builtin_type _cell_set _class_setstate _fill_function _function_setstate _gen_ellipsis _gen_not_implemented "
    "_get_dataclass_field_type_sentinel _make_cell _make_dict_items _make_dict_keys _make_dict_values _make_empty_cell "
    "_make_function _make_skel_func _make_skeleton_class _make_skeleton_enum _make_typevar _rehydrate_skeleton_class "
    "dynamic_subimport instance subimport"
)


def is_by_value(name: Name) -> bool:
    return name[0] in ("cloudpickle", "cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast") and name[1] in BY_VALUE


def joined(name: Name) -> str:
    return f"{name[0]}.{name[1]}"


def standing(name: Name, trusted: Sequence[str]) -> Standing:
    """What is known of a name. A dotted name reaches into what it names, so only its full name can be trusted."""
    module, attribute = name
    full = joined(name)
    if attribute in _KNOWN.get(module, ()):
        return Standing.KNOWN
    if "." not in attribute:
        if any(m.fullmatch(module) and n.fullmatch(attribute) for m, n in _FAMILIES):
            return Standing.KNOWN
        if module == "numpy.dtypes" and re.fullmatch(r"[A-Z]\w*DType", attribute):
            return Standing.KNOWN
    if full in trusted:
        return Standing.TRUSTED
    if module.split(".", 1)[0] in _HARMFUL_ROOTS or _HARMFUL.match(full) or _REACH & set(full.split(".")[1:]):
        return Standing.HARMFUL
    return Standing.TRUSTED if "." not in attribute and covered(full, trusted) else Standing.UNKNOWN


def may_exist(name: Name) -> bool:
    """Whether a name that came about by mixing texts could be one: of Python itself, or in a package's module."""
    module, _ = name
    root, dot, _ = module.partition(".")
    if root in sys.stdlib_module_names or root in _HARMFUL_ROOTS or _HARMFUL.match(joined(name)):
        return True
    return bool(dot) and root not in {known.split(".", 1)[0] for known in _KNOWN}


def covered(full: str, trusted: Sequence[str]) -> bool:
    """`features.Encoder` itself, or anything below `features.*`."""
    return any(full == one or (one.endswith(".*") and full.startswith(one[:-1])) for one in trusted)


# Modules that code pickled by value may refer to as a whole: pure computation, and nothing to reach the system by.
_PLAIN_MODULES = words(
    "math cmath statistics datetime decimal fractions json re string numbers collections itertools heapq bisect "
    "numpy pandas scipy sklearn xgboost lightgbm catboost torch"
)


def is_plain_module(module: str) -> bool:
    return module.split(".", 1)[0] in _PLAIN_MODULES
