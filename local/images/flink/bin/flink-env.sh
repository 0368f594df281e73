# Sourced by the entrypoint and by `flink`, with ${role} set: folders, ${class_path}, and ${java_options} from the
# configuration. Flink finds user jars, plugins and its configuration through the exported variables.
export FLINK_CONF_DIR=${FLINK_CONF_DIR:-$FLINK_HOME/conf} FLINK_LOG_DIR=${FLINK_LOG_DIR:-$FLINK_HOME/log}
export FLINK_BIN_DIR=$FLINK_HOME/bin FLINK_LIB_DIR=$FLINK_HOME/lib FLINK_OPT_DIR=$FLINK_HOME/opt
export FLINK_PLUGINS_DIR=$FLINK_HOME/plugins

dist=$(echo "$FLINK_LIB_DIR"/flink-dist-*.jar)
class_path=
for jar in "$FLINK_LIB_DIR"/*.jar; do # flink-dist goes last: what a user adds to lib wins over it
  [ "$jar" = "$dist" ] || class_path+=$jar:
done
class_path+=$dist

bash_java_utils() { # COMMAND [OPTION...]: its result lines; all that it says when it fails
  local output
  if ! output=$(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -classpath "$FLINK_BIN_DIR/bash-java-utils.jar:$dist" \
    org.apache.flink.runtime.util.bash.BashJavaUtils "$@" 2>&1); then
    printf '%s\n' "$output" >&2
    return 1
  fi
  printf '%s\n' "$output" | sed -n 's/^BASH_JAVA_UTILS_EXEC_RESULT://p'
}

configuration=$(bash_java_utils UPDATE_AND_GET_FLINK_CONFIGURATION --configDir "$FLINK_CONF_DIR" -flatten)
java_options=(-XX:+IgnoreUnrecognizedVMOptions)
set -f # options are split into words, but are not file patterns
for key in env.java.default-opts.all env.java.opts.all "env.java.default-opts.$role" "env.java.opts.$role"; do
  value=$(printf '%s\n' "$configuration" | sed -n "s/^${key//./\\.}: *//p" | tail -n 1 | sed "s/^[\"']//; s/[\"']\$//")
  eval "java_options+=($value)" # options may name variables, such as \$FLINK_LOG_DIR
done
