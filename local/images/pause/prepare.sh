#!/usr/bin/env bash
# Makes pause, a static binary. Needs Go; fetches nothing.
set -euo pipefail
GO111MODULE=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o pause main.go
