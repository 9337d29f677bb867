return {
  status = "Progressing",
  message = "3/8",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatRebalance",
    metadata = {
      name = "now",
      generation = 1,
    },
    status = {
      observedGeneration = 1,
      phase = "Moving",
      progress = "3/8",
    },
  },
}
