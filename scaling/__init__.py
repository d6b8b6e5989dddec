"""How one run happens: config -> model, data, schedule, optimizer -> record."""
