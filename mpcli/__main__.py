"""`python -m mpcli` is `mp`."""

import sys

from mpcli.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
