"""What single studies ask of their runs: one file a question, each with `judge`."""
