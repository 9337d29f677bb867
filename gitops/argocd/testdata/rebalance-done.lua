return {
  status = "Healthy",
  message = "8 slots",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatRebalance",
    metadata = {
      name = "now",
      generation = 1,
    },
    status = {
      observedGeneration = 1,
      phase = "Done",
      message = "8 slots moved",
    },
  },
}
