#!/usr/bin/env bash
# Makes kafka/: what lies in /opt/kafka. One script serves all tools, under the names that it lists.
set -euo pipefail
umask 022
mkdir -p kafka/logs
mvn --batch-mode --quiet dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=kafka/libs
mv bin config kafka/
cd kafka/bin
for name in $(sed -n 's/^  \(kafka-[a-z-]*\.sh\)).*/\1/p' kafka-run-class.sh); do
  ln -s kafka-run-class.sh "$name"
done
