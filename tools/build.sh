# shellcheck shell=bash
# ./dev build: one preset of CMakePresets.json.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev build [PRESET] [TARGET...]

Installs what the build needs, then builds build/PRESET with clang 19. Without arguments: build/release/sluice.

  PRESET   release (default) | debug | asan | tsan | fuzz | bench
  TARGET   sluice (default), sluice_tests, all, or any other; fuzz and bench build all by default

JOBS=N limits the compilers that run at once.
HELP
  exit 0
fi

preset=${1:-release}
case $preset in
  release | debug | asan | tsan) targets=(sluice) ;;
  fuzz | bench) targets=(all) ;;
  *) usage_error "no preset named '$preset'" ;;
esac
if [[ $# -gt 1 ]]; then targets=("${@:2}"); fi

need_packages tools/packages-build.txt
build "$preset" "${targets[@]}"
if [[ " ${targets[*]} " == *" sluice "* ]]; then echo "Built build/$preset/sluice"; fi
