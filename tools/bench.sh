# shellcheck shell=bash
# ./dev bench: Sluice beside its peers. The measuring is in bench/compare.py.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev bench [ARGUMENTS]

Builds the benchmarks (build/bench, Release), then runs bench/compare.py with ARGUMENTS: Sluice, nginx, HAProxy
and a plain byte pump doing the same job, side by side. `./dev bench -- --help` shows what it takes, for example
--only PART (throughput, latency, idle, overload, reload, micro; tls, handshake, h2, grpc, websocket, tcp, tls_idle,
h2_idle), --nginx PATH and --haproxy PATH for other builds of a peer. Results that were kept: bench/README.md.
HELP
  exit 0
fi
if [[ "${1:-}" == -- ]]; then shift; fi

need_packages tools/packages-build.txt tools/packages-test.txt
build bench all
exec /usr/bin/python3 bench/compare.py --sluice build/bench/sluice --tools build/bench/bench "$@"
