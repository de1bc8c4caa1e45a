"""The commands of the command line, one module each; each offers a click command `command`."""
