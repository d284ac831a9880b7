"""`python -m controller` is `pointsman`."""

from controller.cli import main

raise SystemExit(main())
