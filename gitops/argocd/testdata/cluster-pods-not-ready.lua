return {
  status = "Degraded",
  message = "PodsNotReady",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatCluster",
    metadata = {
      name = "chat",
      generation = 2,
    },
    status = {
      observedGeneration = 2,
      conditions = {
        { type = "Ready", status = "False", reason = "PodsNotReady", message = "gateway: 1 of 2 pods are ready" },
        { type = "Progressing", status = "False", reason = "Settled", message = "all workloads run 0.2.0" },
        { type = "Degraded", status = "True", reason = "PodsNotReady", message = "gateway: 1 of 2 pods are ready" },
      },
    },
  },
}
