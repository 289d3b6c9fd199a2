#!/usr/bin/env bash
# Lightkeeper in a kind cluster: quickstart.sh CONFIG [NAME]
#
# CONFIG is a configuration, NAME the cluster's name. Needs kind, kubectl, lightkeeper, and the image
# of packaging/container in the local docker or podman. What is there already is used.
# `kind delete cluster --name NAME` removes all of it.

set -euo pipefail

config=${1:?usage: quickstart.sh CONFIG [NAME]}
name=${2:-lightkeeper}
image=lightkeeper:$(lightkeeper version | awk 'NR == 1 { print $2 }')
context=kind-$name

kind get clusters | grep -qx "$name" || kind create cluster --name "$name" --wait 2m
kind load docker-image "$image" --name "$name"

# In a file first: what could not be looked at for the rights is said on stderr, with exit code 1,
# and what is printed can be used all the same.
manifests=$(mktemp)
trap 'rm -f "$manifests"' EXIT
lightkeeper install --export --config "$config" --image "$image" --context "$context" \
	>"$manifests" || [ $? -eq 1 ]
kubectl --context "$context" apply -f "$manifests"

# What the manifests say of asking from elsewhere: where the status is.
namespace=$(awk '$2 == "lightkeeper" && $3 == "status" { split($4, flag, "="); print flag[2]; exit }' "$manifests")
lightkeeper status --watch --config "$config" --context "$context" \
	${namespace:+--state-namespace="$namespace"}
