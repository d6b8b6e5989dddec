"""Questions with known answers: from files, and made up by rule."""
