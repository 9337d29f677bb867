return {
  status = "Suspended",
  message = "Stopped",
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
        { type = "Ready", status = "False", reason = "Stopped", message = "gateway: 0 pods are wanted" },
        { type = "Progressing", status = "False", reason = "Settled", message = "all workloads run 0.2.0" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
      },
    },
  },
}
