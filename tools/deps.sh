# shellcheck shell=bash
# ./dev deps: Debian packages.
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev deps [--test]

Installs the Debian 12 packages that the build needs and that are missing, and says which. As another user than
root it uses sudo. With nothing missing it is done at once and touches neither network nor package lists.

  --test   also what tests, lint and benchmarks need: nginx, HAProxy, curl, wrk, clang-format and so on.
           Their services are neither started nor enabled.

The lists: tools/packages-build.txt and tools/packages-test.txt.
HELP
  exit 0
fi

lists=(tools/packages-build.txt)
for argument in "$@"; do
  case $argument in
    --test) lists+=(tools/packages-test.txt) ;;
    *) usage_error "unknown argument '$argument'" ;;
  esac
done

need_packages "${lists[@]}"
echo "All packages are there."
