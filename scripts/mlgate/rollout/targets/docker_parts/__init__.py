"""What the docker target is made of: names, containers, the router, the keeper of the state, and what was seen."""
