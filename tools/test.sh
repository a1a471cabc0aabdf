# shellcheck shell=bash
# ./dev test: what must hold before a change goes in. The steps are in tools/test.py.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev test [--full] [--only STEP[,STEP...]]

Runs, in this order: format and lint, the tools' own tests, one release build, unit tests, 200 simulated
worlds, end-to-end tests of the real binary against real peers, the documents' examples, the unit tests again under AddressSanitizer and
UndefinedBehaviorSanitizer, and one minute of fuzzing over all targets. A peer that is missing is a failed test.

  --full        also the unit tests under ThreadSanitizer, 20,000 simulated worlds, the defects that they must find,
                and clang-tidy
  --only STEPS  some steps by name: format lint tools build unit sim e2e examples asan fuzz tsan sim-full
                defects tidy

The last line is `N passed, M failed`; the exit code is 0 only when nothing failed. Each step's output is kept
in build/test/.
HELP
  exit 0
fi

need_packages tools/packages-build.txt tools/packages-test.txt
exec /usr/bin/python3 tools/test.py "$@"
