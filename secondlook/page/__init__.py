"""The status page: what the messages say, shown in a browser."""
