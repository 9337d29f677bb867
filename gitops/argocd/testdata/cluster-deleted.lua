return {
  status = "Progressing",
  message = "deleted",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatCluster",
    metadata = {
      name = "chat",
      generation = 2,
      deletionTimestamp = "2026-01-01T00:00:00Z",
    },
    status = {
      observedGeneration = 2,
      conditions = {
        { type = "Ready", status = "True", reason = "AllServing", message = "ready pods: gateway: 2" },
        { type = "Progressing", status = "False", reason = "Settled", message = "all workloads run 0.2.0" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
      },
    },
  },
}
