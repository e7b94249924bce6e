"""`python -m payex_billing`: the command `payex-billing`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
