#!/usr/bin/env bash
# zkCli.sh [-server host:port] [command]: ZK_CLIENT_HEAP is in MB; CLIENT_JVMFLAGS and JVMFLAGS are JVM options.
set -euf -o pipefail
home=$(dirname "$(dirname "$(readlink -f "$0")")")
exec java -cp "${ZOOCFGDIR:-/conf}:$home/lib/*" "-Xmx${ZK_CLIENT_HEAP:-256}m" ${CLIENT_JVMFLAGS:-} ${JVMFLAGS:-} \
  org.apache.zookeeper.ZooKeeperMain "$@"
