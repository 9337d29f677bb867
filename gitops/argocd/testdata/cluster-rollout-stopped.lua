return {
  status = "Degraded",
  message = "RolloutStopped",
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
        { type = "Progressing", status = "False", reason = "RolloutStopped", message = "logic: no pod of 0.3.0 got ready" },
        { type = "Degraded", status = "True", reason = "RolloutStopped", message = "logic: no pod of 0.3.0 got ready" },
        { type = "Stalled", status = "True", reason = "RolloutStopped", message = "logic: no pod of 0.3.0 got ready" },
      },
    },
  },
}
