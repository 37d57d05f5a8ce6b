"""The command line of InferWatch. Nothing else lives here."""
