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

words_of() { # VALUE of the configuration: its words, one a line. $NAME and ${NAME} are variables
  local value=$1 done= name split
  case $value in # as YAML quotes it
    \'?*\') value=${value:1:-1} value=${value//"''"/"'"} ;;
    \"?*\") value=${value:1:-1} value=${value//'\"'/'"'} value=${value//'\\'/'\'} ;;
  esac
  while [[ $value =~ ^([^$]*)\$(\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))(.*)$ ]]; do
    name=${BASH_REMATCH[3]:-${BASH_REMATCH[4]}}
    done+=${BASH_REMATCH[1]}${!name:-} value=${BASH_REMATCH[5]}
  done
  # Nothing of it is run: the words are split where blanks stand outside of quotes.
  split=$(printf '%s' "$done$value" | xargs -r printf '%s\n') || return
  printf '%s' "${split:+$split$'\n'}"
}

configuration=$(bash_java_utils UPDATE_AND_GET_FLINK_CONFIGURATION --configDir "$FLINK_CONF_DIR" -flatten)
java_options=(-XX:+IgnoreUnrecognizedVMOptions)
for key in env.java.default-opts.all env.java.opts.all "env.java.default-opts.$role" "env.java.opts.$role"; do
  value=$(printf '%s\n' "$configuration" | sed -n "s/^${key//./\\.}: *//p" | tail -n 1)
  if ! words=$(words_of "$value" 2>&1); then
    echo "the options of the JVM in $key cannot be split into words: $words" >&2
    exit 1
  fi
  [ -z "$words" ] || mapfile -tO "${#java_options[@]}" java_options <<<"$words"
done
