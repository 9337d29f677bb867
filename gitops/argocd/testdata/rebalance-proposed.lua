return {
  status = "Suspended",
  message = "approve",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatRebalance",
    metadata = {
      name = "now",
      generation = 1,
    },
    status = {
      observedGeneration = 1,
      phase = "Proposed",
      message = "waits for gochat.io/approve=true",
    },
  },
}
