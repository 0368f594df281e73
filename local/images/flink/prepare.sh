#!/usr/bin/env bash
# Makes flink/: what lies in /opt/flink. A wheel is an archive: nothing of it is run. pip keeps the download (329 MB).
set -euo pipefail
umask 022
"$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements.txt -d wheel
"$PYTHON" -m zipfile -e wheel/*.whl unpacked
rm -r wheel

mkdir -p flink/log flink/opt
mv unpacked/pyflink/{lib,plugins,licenses} unpacked/*.dist-info/licenses/{LICENSE,NOTICE} flink/
mv unpacked/pyflink/opt/flink-sql-client-*.jar flink/opt/ # not flink-python: no Python in this image
mv bin conf flink/
mv unpacked/pyflink/bin/bash-java-utils.jar flink/bin/
