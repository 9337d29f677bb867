return {
  status = "Degraded",
  message = "InvalidSpec",
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
        { type = "Progressing", status = "False", reason = "InvalidSpec", message = "spec.kafka" },
        { type = "Degraded", status = "True", reason = "InvalidSpec", message = "spec.kafka" },
        { type = "Stalled", status = "True", reason = "InvalidSpec", message = "spec.kafka" },
      },
    },
  },
}
