"""The versions of the formats that this program reads. docs/upgrading.md says when they change."""

CONFIG_OLDEST, CONFIG = 1, 1
"""Of the configuration file."""
DATABASE_OLDEST, DATABASE = 1, 4
"""Of the classifier's database; older ones in this range are migrated when it is opened."""
BACKUP = 1
"""Of what `secondlook backup` writes."""
