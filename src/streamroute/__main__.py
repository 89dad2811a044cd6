"""`python -m streamroute`: the same as the `streamroute` command."""

from streamroute.cli.main import main

if __name__ == "__main__":
    main()
