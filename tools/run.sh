# shellcheck shell=bash
# ./dev run: build, then be the gateway.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev run [ARGUMENTS]

Builds, then starts `build/release/sluice run --demo`: two sample backends and the configuration
examples/demo.yaml, on port 8080. With arguments: `build/release/sluice run ARGUMENTS`, as in

  ./dev run examples/contract.yaml

Ctrl-C drains and ends it.
HELP
  exit 0
fi

need_packages tools/packages-build.txt
build release sluice
if [[ $# -eq 0 ]]; then set -- --demo; fi
exec build/release/sluice run "$@"
