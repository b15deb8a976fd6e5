#!/usr/bin/env bash
# Debian's Redis and RabbitMQ for tests/brokers, which starts both by itself, on loopback.
# Nothing is started by installing them: by default RabbitMQ listens on every address.
# Does nothing where both are there already. Where they can't be had, says so and succeeds: the
# tests that need them skip with a sentence.
set -euo pipefail
if command -v redis-server >/dev/null && [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "No Redis or no RabbitMQ, and no apt-get as root; going on without"
  exit 0
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install=(timeout 600 apt-get -qq install --yes --no-install-recommends redis-server rabbitmq-server)
"${install[@]}" >/dev/null 2>&1 || { timeout 300 apt-get -qq update && "${install[@]}" >/dev/null; } ||
  echo "Redis and RabbitMQ could not be installed; going on without them"
