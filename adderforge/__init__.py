"""What a user calls: the command line, the public API, reports."""
