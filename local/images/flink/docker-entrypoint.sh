#!/usr/bin/env bash
# The command line of the public Flink image, for a stand-in that is built here:
#   jobmanager [-D key=value ...]                                          a session cluster's JobManager
#   standalone-job --job-classname C [-D key=value ...] [job arguments]    a JobManager with one job
#   taskmanager [-D key=value ...]
#   anything else is run as it stands
# Java replaces this shell, as in the public image, so that it gets the signals.
set -euo pipefail

# jemalloc gives memory back where glibc's many arenas keep it: a container limit counts both.
if [ "${DISABLE_JEMALLOC:-false}" = false ]; then
  export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}/usr/lib/$(uname -m)-linux-gnu/libjemalloc.so.2"
fi

case ${1:-help} in
  jobmanager)
    role=jobmanager resources=GET_JM_RESOURCE_PARAMS service=standalonesession
    class=org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
    ;;
  standalone-job)
    role=jobmanager resources=GET_JM_RESOURCE_PARAMS service=standalonejob
    class=org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint
    ;;
  taskmanager)
    role=taskmanager resources=GET_TM_RESOURCE_PARAMS service=taskexecutor
    class=org.apache.flink.runtime.taskexecutor.TaskManagerRunner
    ;;
  help)
    sed -n '2,6s/^# \?//p' "$0"
    exit
    ;;
  *) exec "$@" ;;
esac
shift

# The public image writes these into conf/config.yaml, and loses them when that is read-only. Better refused than lost.
for variable in FLINK_PROPERTIES ENABLE_BUILT_IN_PLUGINS; do
  if [ -n "${!variable:-}" ]; then
    echo "$variable has no effect in this image, which was built locally: set options in conf/config.yaml" >&2
    exit 1
  fi
done

. "$FLINK_HOME/bin/flink-env.sh"

# Two lines: the JVM's memory flags, and the sizes that follow from them as -D options.
derived=$(bash_java_utils "$resources" --configDir "$FLINK_CONF_DIR" "$@")
mapfile -t lines < <(printf '%s\n' "$derived")
read -ra memory < <(printf '%s\n' "${lines[0]}")
read -ra sizes < <(printf '%s\n' "${lines[1]:-}")

echo "Starting $service on $HOSTNAME: ${memory[*]}"
exec java "${memory[@]}" "${java_options[@]}" \
  "-Dlog.file=$FLINK_LOG_DIR/flink--$service-0-$HOSTNAME.log" \
  "-Dlog4j.configurationFile=file:$FLINK_CONF_DIR/log4j-console.properties" \
  -classpath "$class_path" "$class" --configDir "$FLINK_CONF_DIR" "${sizes[@]}" "$@"
