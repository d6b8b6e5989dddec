"""Does a change still help at scale: a candidate judged against a baseline at a target."""
