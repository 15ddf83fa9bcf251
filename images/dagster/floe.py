"""`python -m floe preflight --mounted`, with which `helm test` checks an installation from inside the cluster.

The image has no other command of floe, because the others need a checkout.
"""

import sys

from floe_runtime.preflight.__main__ import main

if __name__ == "__main__":
    if sys.argv[1:] != ["preflight", "--mounted"]:
        sys.exit("floe: the image has only `floe preflight --mounted`; every other command needs a checkout")
    main()
