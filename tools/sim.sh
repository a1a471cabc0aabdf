# shellcheck shell=bash
# ./dev sim: the gateway in simulated worlds, one a seed (docs/simulation.md).
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev sim [--seeds N] [--seed S] [--trace] [--json] [--twice]
       ./dev sim --bench | --defects [--seeds N] [--only NAME]

Builds build/release/sluice_sim and runs N worlds (200), from seed S (1) on; with --seed alone that one. Each puts the
gateway's real code between simulated clients and upstreams, with the faults that its seed draws, and checks what
docs/simulation.md promises. On a failure: the seed, what happened, and the command that repeats it; exit 1.

  --trace    print what happened, event by event and call by call
  --json     the report as JSON
  --twice    run every seed twice and compare their events; else one in sixteen
  --hash     print the hash of each seed's events
  --bench    how many plain requests a second of wall time one core simulates
  --defects  plant each defect of tests/sim/defects/ in turn; every one must be found within N seeds (2000)
HELP
  exit 0
fi

need_packages tools/packages-build.txt
build release sluice_sim >&2
if [[ "${1:-}" == --defects ]]; then
  exec /usr/bin/python3 tools/sim_defects.py "${@:2}"
fi
exec build/release/sluice_sim "$@"
