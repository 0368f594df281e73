#!/usr/bin/env bash
# Starts a Flink process: start.sh ARGUMENTS OF THE IMAGE'S ENTRY POINT
#   CLUSTER  the cluster's place in the high-availability services
#   DATA     the volume that all pods of the cluster share
set -euo pipefail
# The public image's entry point writes into config.yaml, and loses what it writes where the file is read-only.
cp /opt/platform/conf/* /opt/flink/conf/

# Pointers to checkpoints are no good without the volume that they point into: each volume has an identity, under which
# they are kept. The first process names it; `ln` makes a file once, whoever else tries.
if [ ! -s "$DATA/identity" ]; then
  mine=$DATA/.identity-$HOSTNAME
  cut -c 1-8 /proc/sys/kernel/random/uuid >"$mine"
  ln "$mine" "$DATA/identity" 2>/dev/null || :
  rm "$mine"
fi
exec /docker-entrypoint.sh "$1" -D "high-availability.cluster-id=$CLUSTER/$(<"$DATA/identity")" "${@:2}"
