"""Which law is to be believed how far: origins, what is predicted beyond them, shares."""
