#!/usr/bin/env bash
# Starts a Flink process: start.sh ARGUMENTS OF THE IMAGE'S ENTRY POINT
#   S3          not empty: checkpoints are there, and not on a volume
#   STATE       directory of this process alone, for what it works with; empty or unset: it has none
#   LEASES      what the leader is elected under in Kubernetes; empty or unset: it is elected in ZooKeeper
#   FLINK_HOME, ENTRY_POINT  of the image
set -euo pipefail
# The public image's entry point writes into config.yaml, and loses what it writes where the file is read-only.
cp "${0%/*}"/../conf/* "$FLINK_HOME/conf/"

# What a process left there that was killed in this pod is of no use, and would fill the volume.
[ -z "${STATE:-}" ] || find "$STATE" -mindepth 1 -delete 2>/dev/null || :

if [ -n "$S3" ]; then
  plugin=("$FLINK_HOME"/opt/flink-s3-fs-presto-*.jar)
  if [ ! -e "${plugin[0]}" ]; then
    echo "the image has no ${plugin[0]}, which checkpoints in S3 need: use one that is made from the public image" >&2
    exit 1
  fi
  ln -sf "${plugin[0]}" "$FLINK_HOME/plugins/s3/"
fi
exec "${ENTRY_POINT:-/docker-entrypoint.sh}" "$1" ${LEASES:+-D "kubernetes.cluster-id=$LEASES"} "${@:2}"
