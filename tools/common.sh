# shellcheck shell=bash
# What the subcommands of ./dev share: messages, packages, builds. Sourced, never run.

if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then
  BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' RED='' PLAIN=''
fi

say() { printf '%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
fail() {
  printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2
  exit 1
}

# usage_error TEXT: for a command line that cannot be understood; exits 64.
usage_error() {
  printf 'dev %s: %s\n' "${command:-}" "$1" >&2
  printf 'see ./dev %s --help\n' "${command:-}" >&2
  exit 64
}

# wants_help "$@": true when the arguments ask for help and nothing else.
wants_help() { [[ $# -eq 1 && ("$1" == --help || "$1" == -h) ]]; }

# missing_packages LIST...: prints the packages of the lists that are not installed, one a line.
missing_packages() {
  local wanted installed
  wanted=$(sed 's/#.*//' "$@" | tr -s ' \t' '\n' | grep -v '^$' | sort -u)
  # dpkg-query fails when it does not know a package; what it prints is what counts.
  # shellcheck disable=SC2016,SC2086
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    sed -n 's/ installed$//p' || true)
  # A Node.js from elsewhere brings an npm of its own, which Debian's would conflict with.
  if command -v npm >/dev/null; then installed+=$'\nnpm'; fi
  installed=$(sort -u <<<"$installed")
  comm -23 <(echo "$wanted") <(echo "$installed")
}

# need_packages LIST...: installs what is missing and says what; quick when nothing is.
need_packages() {
  if ! command -v dpkg-query >/dev/null; then
    command -v clang++-19 >/dev/null && return 0
    fail "This is not a Debian system. Sluice is built on Debian 12; the packages it needs are in $*"
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -eq 0 ]] && return 0

  local root=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null ||
      fail "Missing packages, and neither root nor sudo to install them. As root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  bash tools/install-packages.sh "${root[@]}" -- "${missing[@]}"
}

# configure PRESET: makes build/PRESET ready; does nothing when it is. Ninja re-runs CMake by itself when a
# CMakeLists.txt changes, but does not watch the presets, nor does it notice that the repository was moved.
configure() {
  local folder=build/$1
  if [[ -f $folder/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$folder/CMakeCache.txt"; then
    echo "build/$1 was made elsewhere; starting anew"
    rm -rf "$folder"
  fi
  if [[ ! -f $folder/build.ninja || CMakePresets.json -nt $folder/build.ninja ]]; then
    mkdir -p build
    if ! cmake --preset "$1" >"build/configure-$1.log" 2>&1; then
      cat "build/configure-$1.log" >&2
      fail "cmake --preset $1 failed"
    fi
    touch "$folder/build.ninja"
  fi
}

# build PRESET TARGET...: configures and builds.
build() {
  local preset=$1
  shift
  configure "$preset"
  ninja -C "build/$preset" ${JOBS:+-j "$JOBS"} "$@"
}
