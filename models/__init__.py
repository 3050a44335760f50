"""The networks. State-dict keys follow the published weights; nothing here launches a kernel."""
