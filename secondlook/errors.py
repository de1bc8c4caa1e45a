"""Everything Second Look raises on purpose, each with a sentence that says what to do.

SecondLookError
├── ConfigError         the configuration is wrong; stop before touching anything
│   └── VersionMismatch a file is of a version of Second Look that this one cannot read; stop
├── ModelMismatch       Triton serves another model than the configuration describes; stop
├── TritonUnavailable   no answer from Triton; back off and try again
│   └── TritonTimeout   no answer within the deadline; this call is given up
├── ModelError          Triton answered, and the answer is that the model failed
├── FrameExpired        the pixels of a frame are gone; drop the frame, count it, go on
├── StoreFull           no room for another frame; drop it, count it, go on
├── StoreTooSmall       the frame store cannot hold the cameras it is for; stop
├── SourceError         a camera cannot be opened or read; report it offline, try again
├── NotConnected        the broker is away, or went away before it acknowledged
├── Unreadable          a message does not keep the contract; to the dead letters with it
├── DatabaseError       the database cannot be opened or written
└── InstallError        a part of the embedded stack cannot be had on this machine
"""


class SecondLookError(Exception):
    """The root of the tree; its text is a sentence for the user."""


class ConfigError(SecondLookError):
    """The configuration is wrong; the text names every mistake."""


class VersionMismatch(ConfigError):
    """A file comes from a version of Second Look that this one cannot read."""


class ModelMismatch(SecondLookError):
    """Triton serves another model than the configuration describes."""


class TritonUnavailable(SecondLookError):
    """Triton cannot be reached, or the model is not ready."""


class TritonTimeout(TritonUnavailable):
    """Triton did not answer within the deadline."""


class ModelError(SecondLookError):
    """Triton answered that the model failed."""


class FrameExpired(SecondLookError):
    """The pixels of a frame are gone, which is normal for an old one."""


class StoreFull(SecondLookError):
    """There is no room for another frame."""


class StoreTooSmall(SecondLookError):
    """The frame store cannot hold the frames of the configured cameras."""


class SourceError(SecondLookError):
    """A camera's source cannot be opened or read."""


class NotConnected(SecondLookError):
    """The broker is away, or went away before it acknowledged."""


class Unreadable(SecondLookError):
    """A message does not keep the contract."""


class DatabaseError(SecondLookError):
    """The database cannot be opened or written."""


class InstallError(SecondLookError):
    """A part of the embedded stack cannot be had on this machine."""


EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: restarting will not help, so supervisors must not."""
EXIT_VERSION = 65
"""EX_DATAERR, likewise: the configuration or the database is of another version."""
EXITS_FOR_GOOD = (EXIT_CONFIG, EXIT_VERSION)


def exit_status(error: SecondLookError) -> int:
    """Return the exit status of a program that an error ends."""
    match error:
        case VersionMismatch():
            return EXIT_VERSION
        case ConfigError() | ModelMismatch() | StoreTooSmall():
            return EXIT_CONFIG
        case _:
            return 1
