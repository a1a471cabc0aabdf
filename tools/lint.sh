# shellcheck shell=bash
# ./dev lint: clang-format and the house's rules (tools/lint.py).
source tools/common.sh

if wants_help "$@"; then
  cat <<'HELP'
usage: ./dev lint [--layers | --fix | --tidy]

Checks the format of every C++ file (clang-format-19) and the rules of the house (tools/lint.py): layers,
where co_await may stand, length of files, headers, tabs, forgotten notes, links in documents.

  --layers   only the include graph against src/layers.txt; quick
  --fix      rewrite the files' format instead of checking it, then check the rules
  --tidy     also clang-tidy-19 over src/; slow
HELP
  exit 0
fi
if [[ $# -gt 1 ]]; then usage_error "one argument at most"; fi

case "${1:-}" in
  --layers)
    command -v python3 >/dev/null || need_packages tools/packages-test.txt
    exec /usr/bin/python3 tools/lint.py --layers
    ;;
  "") checks=(--format --rules) ;;
  --fix) checks=(--fix --rules) ;;
  --tidy) checks=(--format --rules --tidy) ;;
  *) usage_error "unknown argument '$1'" ;;
esac
need_packages tools/packages-build.txt tools/packages-test.txt
exec /usr/bin/python3 tools/lint.py "${checks[@]}"
