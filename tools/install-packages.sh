#!/usr/bin/env bash
# Installs Debian packages without starting the services that some of them bring (nginx, haproxy): those are
# peers for our tests, started by the tests on ports of their own.
# usage: install-packages.sh [sudo] -- PACKAGE...
set -euo pipefail

root=()
while [[ $1 != -- ]]; do
  root+=("$1")
  shift
done
shift

policy=/usr/sbin/policy-rc.d
log=$(mktemp)
guarded=no
tidy_up() {
  [[ $guarded == yes ]] && "${root[@]}" rm -f "$policy"
  rm -f "$log"
}
trap tidy_up EXIT

# apt ARGUMENTS...: quiet when it works, everything when it does not.
apt() {
  if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
}

# While this file says 101, a package's scripts start no service (invoke-rc.d(8)). One that is there already
# is the administrator's and stays.
if [[ ! -e $policy ]]; then
  guarded=yes
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
fi

apt update || echo "apt-get update had errors; going on with the package lists at hand" >&2
apt install -y --no-install-recommends "$@"

# Not started now; and not at the next boot either (update-rc.d(8) tells systemd too).
for package in "$@"; do
  case $package in
    nginx-light) service=nginx ;;
    haproxy) service=haproxy ;;
    *) continue ;;
  esac
  "${root[@]}" update-rc.d "$service" disable >/dev/null 2>&1 || true
  echo "The service $service came with $package. It is for the tests: not started, now or at boot."
done
