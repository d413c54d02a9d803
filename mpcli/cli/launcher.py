#!python
"""What the installed `mp` starts: `bin/.mp-python`, into whose first line pip writes its own interpreter (mp.sh).

A Ctrl-C while the rest is imported ends without a traceback.
"""

import sys

if __name__ == "__main__":
    try:
        from mpcli.cli.entry import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
