# shellcheck shell=bash
# ./dev fuzz: one libFuzzer target, for as long as wanted.
source tools/common.sh

targets() { (shopt -s nullglob && cd fuzz && printf '%s\n' *_fuzz.cpp) | sed 's/_fuzz\.cpp$//'; }

if wants_help "$@"; then
  cat <<HELP
usage: ./dev fuzz TARGET [--seconds N] [LIBFUZZER ARGUMENTS]

Runs one fuzz target under AddressSanitizer and UndefinedBehaviorSanitizer, for 60 seconds or N (0: until
stopped). It starts from fuzz/corpus/TARGET_fuzz and what earlier runs found; what it finds goes to
build/fuzz/found/TARGET, an input that fails to build/fuzz/artifacts/. To run one input again:

  build/fuzz/fuzz/TARGET_fuzz build/fuzz/artifacts/TARGET-crash-...

Targets: $(targets | paste -sd ' ')
HELP
  exit 0
fi

if [[ -z "${1:-}" ]]; then usage_error "which target? One of: $(targets | paste -sd ' ')"; fi
name=${1%_fuzz}
shift
[[ -f fuzz/${name}_fuzz.cpp ]] || usage_error "no target named '$name'. One of: $(targets | paste -sd ' ')"
seconds=60
if [[ "${1:-}" == --seconds ]]; then
  seconds=${2:-}
  [[ "$seconds" =~ ^[0-9]+$ ]] || usage_error "--seconds takes a number"
  shift 2
fi

need_packages tools/packages-build.txt
build fuzz "${name}_fuzz"
mkdir -p "build/fuzz/found/$name" build/fuzz/artifacts
corpus=("build/fuzz/found/$name")
if [[ -d fuzz/corpus/${name}_fuzz ]]; then corpus+=("fuzz/corpus/${name}_fuzz"); fi
exec "build/fuzz/fuzz/${name}_fuzz" "-max_total_time=$seconds" "-artifact_prefix=build/fuzz/artifacts/$name-" \
  "$@" "${corpus[@]}"
