"""Flink's logging configuration, log4j-console.properties, as text."""

import json
from typing import Literal

from components.flink.directories import LOG_DIR

Layout = Literal["text", "json"]


def log4j_console(layout: Layout = "text") -> str:
    """The text of log4j-console.properties: to the console, and to files that roll (at most 160 MiB in all).

    The files are lines of text, or of JSON documents.
    """
    return _LOG4J_CONSOLE.replace("{LOG_DIR}", LOG_DIR) + "".join(
        f"appender.rolling.layout.{line}\n" for line in _LAYOUTS[layout]
    )


_LOG4J_CONSOLE = """\
monitorInterval = 30
# By default the loggers end when the JVM is asked to: what tasks and shutdown hooks say after that would be nowhere.
shutdownHook = disable

rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
rootLogger.appenderRef.rolling.ref = Rolling

# Clients print their whole configuration at INFO, again with each restart of a job.
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.zookeeper.name = org.apache.flink.shaded.zookeeper3
logger.zookeeper.level = WARN
logger.curator.name = org.apache.flink.shaded.curator5
logger.curator.level = WARN

appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c [%t] - %m%n%throwable

# The start scripts set log.file. Ten files of 16 MiB: the volume of {LOG_DIR} must hold that. Numbers only grow:
# what reads the files meets each under two names, and not under ten.
appender.rolling.name = Rolling
appender.rolling.type = RollingFile
appender.rolling.append = true
appender.rolling.fileName = ${sys:log.file:-{LOG_DIR}/flink.log}
appender.rolling.filePattern = ${sys:log.file:-{LOG_DIR}/flink.log}.%i
appender.rolling.policies.type = Policies
appender.rolling.policies.size.type = SizeBasedTriggeringPolicy
appender.rolling.policies.size.size = 16MB
appender.rolling.strategy.type = DefaultRolloverStrategy
appender.rolling.strategy.fileIndex = nomax
appender.rolling.strategy.delete.type = Delete
appender.rolling.strategy.delete.basePath = {LOG_DIR}
appender.rolling.strategy.delete.rolled.type = IfFileName
appender.rolling.strategy.delete.rolled.glob = *.log.*
appender.rolling.strategy.delete.rolled.count.type = IfAccumulatedFileCount
appender.rolling.strategy.delete.rolled.count.exceeds = 9
"""

_EVENT = {
    "@timestamp": {"$resolver": "timestamp", "pattern": {"format": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"}},
    "level": {"$resolver": "level", "field": "name"},
    "logger": {"$resolver": "logger", "field": "name"},
    "thread": {"$resolver": "thread", "field": "name"},
    "message": {"$resolver": "message", "stringified": True},
    "thrown": {"$resolver": "exception", "field": "stackTrace", "stackTrace": {"stringified": True}},
}
_LAYOUTS = {
    "text": ("type = PatternLayout", "pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c [%t] - %m%n%throwable"),
    # The longest text by default is 16 Ki characters; a longer stack trace would be cut.
    "json": ("type = JsonTemplateLayout", "maxStringLength = 262144", f"eventTemplate = {json.dumps(_EVENT)}"),
}
