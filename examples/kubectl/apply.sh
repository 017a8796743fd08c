#!/bin/sh
# Renders the collection and applies it. Run it again after every change of the spec.
set -eu
cd "$(dirname "$0")"
sluice render ../collection.yaml | kubectl apply -f -
kubectl --namespace opentelemetry rollout status daemonset/otel-agent
kubectl --namespace opentelemetry rollout status deployment/otel-gateway
