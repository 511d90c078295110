# Installs the Debian packages given as arguments, without starting any service. Run as root by `cargo xtask setup`.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Exit code 101 tells package scripts not to start what they install. An administrator's own policy stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

apt-get update -qq
apt-get install -qq -y --no-install-recommends "$@"
