#!/usr/bin/env bash
# Makes root.tar: a small root of this machine's own distribution with a Java 17 runtime, from its own package sources.
# What needs Perl, documentation and translations stays out; apt stays outside too.
set -euo pipefail
. /etc/os-release

sources() { # one line for each package list of the distribution itself; other vendors' lists are not wanted here
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' |
    sed -n "s/|${ID}\$//Ip" | sort -u
}
[ -n "$(sources)" ] || apt-get update -q
sources >sources.list
[ -s sources.list ] || { echo "apt knows no package source of $PRETTY_NAME itself" >&2; exit 1; }
apt-config dump | { grep -i '^Acquire::.*Proxy' || true; } >apt.conf

keyring=/usr/share/keyrings/${ID}-archive-keyring.gpg # newer releases trust it in the source's own entry only
[ -e "$keyring" ] || keyring=/etc/apt/trusted.gpg.d

# The Java package's alternatives want a folder for manual pages, even when manual pages are left out.
mmdebstrap --quiet --variant=essential --mode=root --keyring="$keyring" --aptopt=apt.conf \
  --include=openjdk-17-jre-headless,libjemalloc2 \
  --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr \
  --setup-hook='mkdir -p "$1/usr/share/man/man1"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/hostname' \
  --customize-hook='mkdir -p "$1/opt/java" && ln -s "$(cd "$1" && echo /usr/lib/jvm/java-17-openjdk-*)" "$1/opt/java/openjdk"' \
  '' root.tar - <sources.list
