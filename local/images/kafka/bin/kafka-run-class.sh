#!/usr/bin/env bash
# kafka-run-class.sh CLASS [argument ...], or any of the names below: Kafka's programs, named as in the public image.
# KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_JMX_OPTS, KAFKA_LOG4J_OPTS and KAFKA_OPTS are JVM options.
# Java replaces this shell, so that it gets the signals.
set -euo pipefail
home=$(dirname "$(dirname "$(readlink -f "$0")")")
heap=-Xmx256M log=$home/config/tools-log4j2.yaml tools=org.apache.kafka.tools

case $(basename "$0") in
  kafka-server-start.sh)
    heap='-Xmx1G -Xms1G' log=$home/config/log4j2.yaml
    set -- kafka.Kafka "$@"
    ;;
  kafka-acls.sh) set -- $tools.AclCommand "$@" ;;
  kafka-broker-api-versions.sh) set -- $tools.BrokerApiVersionsCommand "$@" ;;
  kafka-configs.sh) set -- kafka.admin.ConfigCommand "$@" ;;
  kafka-console-consumer.sh) set -- $tools.consumer.ConsoleConsumer "$@" ;;
  kafka-console-producer.sh) set -- $tools.ConsoleProducer "$@" ;;
  kafka-consumer-groups.sh) set -- $tools.consumer.group.ConsumerGroupCommand "$@" ;;
  kafka-consumer-perf-test.sh) set -- $tools.ConsumerPerformance "$@" ;;
  kafka-delete-records.sh) set -- $tools.DeleteRecordsCommand "$@" ;;
  kafka-dump-log.sh) set -- kafka.tools.DumpLogSegments "$@" ;;
  kafka-features.sh) set -- $tools.FeatureCommand "$@" ;;
  kafka-get-offsets.sh) set -- $tools.GetOffsetShell "$@" ;;
  kafka-leader-election.sh) set -- $tools.LeaderElectionCommand "$@" ;;
  kafka-log-dirs.sh) set -- $tools.LogDirsCommand "$@" ;;
  kafka-metadata-quorum.sh) set -- $tools.MetadataQuorumCommand "$@" ;;
  kafka-producer-perf-test.sh) set -- $tools.ProducerPerformance "$@" ;;
  kafka-reassign-partitions.sh) set -- $tools.reassign.ReassignPartitionsCommand "$@" ;;
  kafka-storage.sh) set -- kafka.tools.StorageTool "$@" ;;
  kafka-topics.sh) set -- $tools.TopicCommand "$@" ;;
  kafka-transactions.sh) set -- $tools.TransactionsCommand "$@" ;;
esac
[ $# -gt 0 ] || { sed -n '2s/^# //p' "$0" >&2; exit 1; }

set -f # options are split into words, but are not file patterns
# Like the public image: G1 also where the JVM would take a small container for a client machine.
exec java ${KAFKA_HEAP_OPTS:-$heap} \
  ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35} \
  ${KAFKA_JMX_OPTS:-} "-Dkafka.logs.dir=${LOG_DIR:-$home/logs}" \
  ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=$log} -cp "$home/libs/*" ${KAFKA_OPTS:-} "$@"
