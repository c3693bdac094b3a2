#!/usr/bin/env bash
# What the setup action calls: installs the tool and puts the command `mlgate` on PATH for the steps that follow.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
version="$("${root}/scripts/run.sh" --version)"
version="${version##* }"

# The command is a file of two lines in a folder of its own, so that nothing else comes onto PATH with it.
bin="${RUNNER_TEMP:?}/mlgate-bin"
mkdir -p -- "${bin}"
printf '#!/usr/bin/env bash\nexec %q "$@"\n' "${root}/scripts/run.sh" >"${bin}/mlgate"
chmod 755 "${bin}/mlgate"

echo "${bin}" >>"${GITHUB_PATH:?}"
echo "version=${version}" >>"${GITHUB_OUTPUT:?}"
echo "mlgate ${version}"
