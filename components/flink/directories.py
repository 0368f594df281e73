"""Directories in the containers of Flink's pods."""

CONF_DIR = "/opt/flink/conf"  # a copy of the configuration, and what the state record leaves there
LOG_DIR = "/opt/flink/log"
LIBRARY_DIR = "/opt/flink/lib"
S3_PLUGIN_DIR = "/opt/flink/plugins/s3"
DATA_DIR = "/flink-data"  # the volume that all pods of a cluster share
STATE_DIR = "/flink-state"  # a TaskManager's working state
PLATFORM_DIR = "/opt/platform"  # scripts and configuration, read-only
PLATFORM_CONF_DIR = f"{PLATFORM_DIR}/conf"
SCRIPTS_DIR = f"{PLATFORM_DIR}/scripts"  # components/flink/scripts

STATE_RECORD = "state-record.jar"
