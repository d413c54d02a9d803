#!python
"""The installed `mp`: pip copies this file to `bin/mp` and writes its own interpreter into the first line.

The launcher that pip would generate imports `re` for the sake of Windows, which is a third of what `mp --version`
costs; and a Ctrl-C while it imports ends in a traceback.
"""

import sys

if __name__ == "__main__":
    try:
        from mpcli.cli.entry import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\nmp: interrupted\n")
        sys.exit(130)
