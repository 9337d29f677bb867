return {
  status = "Healthy",
  message = "AllServing",
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
        { type = "Ready", status = "True", reason = "AllServing", message = "ready pods: gateway: 2" },
        { type = "Progressing", status = "False", reason = "Settled", message = "all workloads run 0.2.0" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
        { type = "Balanced", status = "False", reason = "OutsideBand", message = "gateway: 1.4" },
      },
    },
  },
}
