"""The commands of the command line; what they need is imported when they run."""
