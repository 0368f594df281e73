#!/usr/bin/env bash
# Makes zookeeper/: what lies in /apache-zookeeper-3.9.4-bin.
set -euo pipefail
umask 022
mkdir zookeeper
mvn --batch-mode --quiet dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=zookeeper/lib
rm zookeeper/lib/*-{osx,windows}-*.jar
mv bin zookeeper/
