#!/usr/bin/env bash
# Plays the story of example-project on this machine: `make example`, or `scripts/example/run.sh --help`.
# Needs Python 3.11 or later and git. Everything it installs goes to $MLGATE_CACHE, else ~/.cache/mlgate.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
for python in python3 python3.14 python3.13 python3.12 python3.11; do
  if "${python}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "${python}" -B "${here}/story.py" "$@"
  fi
done
echo "error: the example needs Python 3.11 or later; none is on PATH." >&2
exit 2
