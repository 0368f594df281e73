#!/usr/bin/env bash
# Makes bin/: Prometheus and promtool of this machine's own distribution.
set -euo pipefail
umask 022
apt-cache show prometheus >/dev/null 2>&1 || apt-get update -q
mkdir package && chmod a+rwx package # apt downloads as a user of its own
(cd package && apt-get download -q prometheus)
dpkg-deb -x package/prometheus_*.deb root
mkdir bin && mv root/usr/bin/prometheus root/usr/bin/promtool bin/
mv root/usr/share/doc/prometheus/copyright .
rm -r package root
