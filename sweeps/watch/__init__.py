"""Looking after a study: progress, causes of failures, cancelling, collecting, cleaning."""
