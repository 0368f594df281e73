# Starts a broker: formats an empty disk, and refuses a disk that would harm the cluster. Run by bash -e.
number=${HOSTNAME##*-}
node=/etc/kafka-nodes/$number.properties
meta=/var/lib/kafka/data/meta.properties

# To the log, and to where `kubectl describe pod` shows why a container ended.
refuse() {
  echo "$1" >&2
  echo "$1" >/dev/termination-log || :
  exit 1
}

# The other controllers' hosts, if this node is a controller.
other_voters() {
  local voters each
  voters=$(sed -n 's/^controller\.quorum\.voters=//p' "$node")
  [[ ,$voters, == *,$number@* ]] || return 0
  for each in ${voters//,/ }; do
    if [[ $each != "$number"@* ]]; then
      each=${each#*@}
      echo "${each%:*}"
    fi
  done
}

# Whether the cluster, asked through another controller's broker, knows a broker of this number, running or not. None
# answers when the cluster starts for the first time: all look for each other then, for as long as this.
known_to_others() {
  local hosts host brokers deadline=$((SECONDS + 30))
  hosts=$(other_voters)
  while [[ -n $hosts ]] && ((SECONDS < deadline)); do
    for host in $hosts; do
      if timeout 2 bash -c "exec 3<>/dev/tcp/$host/9092" 2>/dev/null; then
        brokers=$(/opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.ClusterTool list-endpoints \
          --include-fenced-brokers --bootstrap-server "$host:9092") || continue
        grep -q "^$number " <<<"$brokers"
        return
      fi
    done
    sleep 1
  done
  return 1
}

if [[ -f $meta ]]; then
  id=$(sed -n 's/^cluster\.id=//p' "$meta")
  [[ $id == "$CLUSTER_ID" ]] || refuse "this disk is of the Kafka cluster $id, and this stack's state knows the cluster \
$CLUSTER_ID: nothing was changed. Put $id back: docs/runbook.md, Lost Pulumi state"
elif ! grep -qx "$number" /etc/kafka-nodes/new-disks 2>/dev/null && known_to_others; then
  refuse "the disk of broker $number is empty, and the cluster knows this broker: it is a controller, and has lost what \
it agreed to. When the other controllers have all that was agreed on, set kafka.newDisks: [$number] (docs/runbook.md, A \
broker lost its disk)"
fi
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id="$CLUSTER_ID" --config "$node"

# Heap, logging and the agent that serves metrics are set for the server alone: the tools that someone runs in the pod
# keep their own, smaller heap, and do not take its port.
export KAFKA_HEAP_OPTS="-Xms${HEAP_MIB}m -Xmx${HEAP_MIB}m"
export KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=/etc/kafka-nodes/log4j2.properties"
export KAFKA_OPTS=${METRICS_AGENT:-}
export EXTRA_ARGS="-name kafkaServer"
exec /opt/kafka/bin/kafka-server-start.sh "$node"
