"""`python -m galaxylib` is the command `galaxylib`; `torchrun -m galaxylib train ...` uses it."""

from galaxylib.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
