#!/usr/bin/env bash
# Runs the command-line tool from this checkout: `run.sh compare --config mlgate.yaml`. Every action calls it.
#
# The tool's own packages live in a private folder: the project's Python, its virtual environment and its PYTHONPATH are
# neither used nor changed. On first use they are installed from requirements/base.txt, every file checked against its hash;
# later calls start at once. Index settings of the user (UV_*, PIP_INDEX_URL and the like) are respected.
#
# MLGATE_CACHE  where to keep them. Else the runner's tool cache, else ~/.cache/mlgate
# MLGATE_ENV    lines of KEY=value that the project's own tools need (credentials of a DVC remote): masked, then exported
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
requirements="${root}/requirements/base.txt"

die() {
  printf 'error: %s\n' "$1" >&2
  exit 2
}

# The last line of a failed command's output says most; colours and control characters do not belong into a log line.
last_line() { sed $'s/\x1b\\[[0-9;]*m//g' "$1" | tr -d '\000-\010\013-\037' | grep -v '^[[:space:]]*$' | tail -n 1; }

find_cache() {
  if [[ -n "${MLGATE_CACHE:-}" ]]; then
    cache="${MLGATE_CACHE}"
  elif [[ -n "${RUNNER_TOOL_CACHE:-}" ]]; then
    cache="${RUNNER_TOOL_CACHE}/mlgate"
  elif [[ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]]; then
    cache="${XDG_CACHE_HOME:-${HOME}/.cache}/mlgate"
  else
    die "there is no folder for mlgate's own packages: set MLGATE_CACHE to one that this user can write to."
  fi
}

# Prints what the packages depend on (which requirements, which interpreter, which platform) as one name.
# Fails for an interpreter that is too old, or is no interpreter (a shim that points nowhere).
key_of() {
  "$1" -I -S -c '
import sys
if sys.version_info < (3, 11):
    sys.exit(1)
import hashlib, importlib.machinery, os
what = hashlib.sha256(open(sys.argv[1], "rb").read())
what.update((importlib.machinery.EXTENSION_SUFFIXES[0] + os.uname().machine).encode())
print("py%d%d-%s" % (sys.version_info[0], sys.version_info[1], what.hexdigest()[:20]))
' "${requirements}" 2>/dev/null
}

find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "${candidate}" >/dev/null && key="$(key_of "${candidate}")"; then
      python="${candidate}"
      return
    fi
  done
  ensure_uv
  if ! { python="$(uv_run python find '>=3.11' 2>"${tmp}/log")" ||
    { uv_run python install 3.13 2>"${tmp}/log" && python="$(uv_run python find '>=3.11' 2>"${tmp}/log")"; }; }; then
    die "mlgate needs Python 3.11 or later and found none on PATH; uv could not bring one either ($(last_line "${tmp}/log"))."
  fi
  key="$(key_of "${python}")" || die "the Python that uv found does not start: ${python}"
}

make_tmp() {
  [[ -z "${tmp:-}" ]] || return 0
  if ! { mkdir -p -- "${cache}" && tmp="$(mktemp -d "${cache}/.tmp.XXXXXXXX")"; } 2>/dev/null; then
    die "cannot write to ${cache}: set MLGATE_CACHE to a folder that this user can write to."
  fi
  trap 'rm -rf -- "${tmp}"' EXIT
}

# Moves a finished folder into place in one step. Of jobs that do so at once, one wins and the others use what it made.
place() {
  chmod 755 "$1"
  "$2" -I -S -c '
import os, sys
try:
    os.rename(sys.argv[1], sys.argv[2])
except OSError:
    if not os.path.isdir(sys.argv[2]):
        raise
' "$1" "$3"
}

# What pip would be told by the environment, in uv's words, unless uv was told something itself.
index_settings() {
  if [[ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" && -n "${PIP_INDEX_URL:-}" ]]; then
    export UV_DEFAULT_INDEX="${PIP_INDEX_URL}"
  fi
  if [[ -z "${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}" && -n "${PIP_EXTRA_INDEX_URL:-}" ]]; then
    export UV_INDEX="${PIP_EXTRA_INDEX_URL}"
    # As pip does. No package can be put in another's place: every file is checked against its hash.
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
  fi
  if [[ -n "${PIP_NO_INDEX:-}" ]]; then
    export UV_NO_INDEX="${UV_NO_INDEX:-1}" UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
  fi
  if [[ -z "${SSL_CERT_FILE:-}" && -n "${PIP_CERT:-}" ]]; then
    export SSL_CERT_FILE="${PIP_CERT}"
  fi
}

# uv, away from the project: no virtual environment of its, no configuration file of its, no interpreter it has chosen.
# A subshell, so that none of this reaches what the tool starts later.
uv_run() (
  index_settings
  unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME UV_PYTHON UV_SYSTEM_PYTHON UV_PROJECT UV_WORKING_DIRECTORY
  unset UV_CONSTRAINT UV_OVERRIDE UV_EXCLUDE_NEWER UV_NO_BINARY UV_TARGET UV_PREFIX
  export UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-${cache}/python}"
  exec "${uv}" --directory "${tmp}" "$@"
)

# Finds uv, or installs the one that requirements/uv.txt names. Any interpreter with pip will do for that.
ensure_uv() {
  [[ -z "${uv:-}" ]] || return 0
  make_tmp
  local wanted home candidate
  if uv="$(command -v uv)" && [[ "$("${uv}" --version 2>/dev/null)" =~ ^uv\ (0\.([5-9]|[1-9][0-9]+)|[1-9])\. ]]; then
    return
  fi
  wanted="$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' "${root}/requirements/uv.txt")"
  home="${cache}/uv-${wanted}-$(uname -s)-$(uname -m)"
  uv="${home}/bin/uv"
  [[ ! -x "${uv}" ]] || return 0
  for candidate in "${python:-python3}" python3 python; do
    if ! "${candidate}" -I -m pip --version >/dev/null 2>&1; then
      # A system Python without pip can often still make a virtual environment that has one.
      "${candidate}" -I -m venv "${tmp}/venv" >/dev/null 2>&1 || continue
      candidate="${tmp}/venv/bin/python"
    fi
    # Judged by what it leaves: pip puts nothing there before every hash was right, and a wrapper around pip (pyenv's, when
    # two jobs end at once) may fail after pip itself has succeeded.
    env -u PIP_TARGET -u PIP_PREFIX -u PIP_CONSTRAINT -u PYTHONPATH PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 \
      "${candidate}" -I -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: --require-hashes \
      --target "${tmp}/uv" --requirement "${root}/requirements/uv.txt" >"${tmp}/log" 2>&1 || true
    if [[ -x "${tmp}/uv/bin/uv" ]]; then
      place "${tmp}/uv" "${candidate}" "${home}"
      return
    fi
    die "uv, which installs mlgate's own packages, could not be fetched ($(last_line "${tmp}/log")). ${advice}"
  done
  die "mlgate needs uv, or a python3 with pip to fetch it: neither is on PATH."
}

install() {
  ensure_uv
  if ! uv_run pip install --quiet --no-progress --python "$(command -v "${python}")" --target "${tmp}/site" --no-deps --no-build \
    --compile-bytecode --require-hashes --requirement "${requirements}" >"${tmp}/log" 2>&1; then
    die "mlgate's own packages could not be installed ($(last_line "${tmp}/log")). ${advice}"
  fi
  place "${tmp}/site" "${python}" "${site}"
}

# Lines of KEY=value. `#` starts a comment line; a value is taken as it is, quotes and all.
project_env() {
  local line value names=""
  while IFS= read -r line || [[ -n "${line}" ]]; do
    line="${line%$'\r'}"
    [[ -n "${line}" && "${line}" != \#* ]] || continue
    [[ "${line}" =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || die "the env secret has a line that is not KEY=value (its text is not shown here)."
    value="${line#*=}"
    if [[ "${GITHUB_ACTIONS:-}" == true && "${#value}" -gt 3 && "${value}" != true && "${value}" != false ]]; then
      printf '::add-mask::%s\n' "${value//%/%25}"
    fi
    export "${line?}"
    names+="${names:+ }${line%%=*}"
  done <<<"${MLGATE_ENV:-}"
  unset MLGATE_ENV
  export MLGATE_ENV_NAMES="${names}" # which variables are credentials, for the step that runs project code without them
}

advice="Is the package index reachable from here? UV_DEFAULT_INDEX or PIP_INDEX_URL names another one."
find_cache
find_python
site="${cache}/${key}"
[[ -d "${site}" ]] || (install)
if [[ -n "${tmp:-}" ]]; then
  rm -rf -- "${tmp}"
  trap - EXIT
fi
project_env
export MLGATE_CACHE="${cache}" # packages that only some verbs need are kept beside these
exec "${python}" -I -S -c '
import sys
sys.path[:0] = sys.argv[1:3]
sys.argv[:3] = ["mlgate"]
from mlgate.cli import main
sys.exit(main())
' "${site}" "${root}/scripts" "$@"
