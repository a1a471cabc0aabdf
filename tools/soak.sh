# shellcheck shell=bash
# ./dev soak: mixed traffic for minutes, then flat memory and no wrong answer. The work is in tests/soak/soak.py.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev soak MINUTES [--binary PATH] [--clients N] [--warm-up PART] [--tolerance-mib N] [--json FILE]

Runs mixed traffic against the gateway: small and large answers, keep-alive, pipelining, chunked uploads, slow and
aborting clients, while the configuration is reloaded (now and then with one that must be refused) and upstreams are
killed and started again. It fails on a wrong answer, on memory or descriptors that grow after the warm-up (the
first 40 % of the time), on anything not given back at the end, and on a sanitizer's word.

--binary build/asan/sluice or build/tsan/sluice soaks another build (./dev build asan makes it); without it,
build/release is built first. Figures that were kept: bench/README.md.
HELP
  exit 0
fi

[[ "${1:-}" =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage_error "how many minutes?"
need_packages tools/packages-build.txt tools/packages-test.txt
if [[ " $* " != *" --binary"* ]]; then build release sluice; fi
exec /usr/bin/python3 tests/soak/soak.py "$@"
