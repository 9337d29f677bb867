return {
  status = "Suspended",
  message = "stop",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatRebalance",
    metadata = {
      name = "now",
      generation = 1,
    },
    status = {
      observedGeneration = 1,
      phase = "Stopped",
      message = "by gochat.io/stop",
    },
  },
}
