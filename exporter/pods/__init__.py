"""The node's pods: which ones there are, which GPUs their containers hold, and where their engines answer."""
