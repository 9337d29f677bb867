return {
  status = "Suspended",
  message = "Paused",
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
        { type = "Progressing", status = "False", reason = "Paused", message = "gochat.io/paused is true" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
      },
    },
  },
}
