"""One run: config -> model, data, schedule, optimizer -> record."""
