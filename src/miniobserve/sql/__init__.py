"""SQL databases behind one small protocol, with a driver each for SQLite and PostgreSQL."""
