"""``python -m e2analytics``."""

from e2analytics.cli.main import main

if __name__ == "__main__":
    main()
