#!/usr/bin/env bash
# zkServer.sh start-foreground [zoo.cfg] | version
# ZK_SERVER_HEAP is in MB; SERVER_JVMFLAGS and JVMFLAGS are JVM options. The file is sought in ZOOCFGDIR, whose
# logback.xml says where the log goes. Java replaces this shell, so that it gets the signals.
set -euf -o pipefail
home=$(dirname "$(dirname "$(readlink -f "$0")")")
folder=${ZOOCFGDIR:-/conf}

case ${1:-} in
  start-foreground)
    exec java "-Dzookeeper.log.dir=${ZOO_LOG_DIR:-/logs}" -XX:+HeapDumpOnOutOfMemoryError -cp "$folder:$home/lib/*" \
      "-Xmx${ZK_SERVER_HEAP:-1000}m" ${SERVER_JVMFLAGS:-} ${JVMFLAGS:-} \
      org.apache.zookeeper.server.quorum.QuorumPeerMain "$folder/${2:-zoo.cfg}"
    ;;
  version) exec java -cp "$home/lib/*" org.apache.zookeeper.version.VersionInfoMain ;;
  *)
    sed -n '2s/^# /usage: /p' "$0" >&2
    exit 2
    ;;
esac
