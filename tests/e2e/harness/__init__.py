"""What the end-to-end tests stand on: the gateway's process, scripted upstreams, strict raw clients, real peers."""
