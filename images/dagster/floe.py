"""`python -m floe preflight --mounted`, by which the charts' tests check an installation from inside.

The image has no other command of floe: those need a checkout.
"""

import sys

from floe_runtime.preflight.__main__ import main

if __name__ == "__main__":
    if sys.argv[1:] != ["preflight", "--mounted"]:
        sys.exit("floe: the image has `floe preflight --mounted` alone; every other command needs a checkout")
    main()
