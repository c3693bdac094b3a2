"""What `targets.kubernetes` is made of: names, manifests, routing, what pods say of themselves, and kubectl."""
