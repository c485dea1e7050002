"""`python -m backupctl` is `backupctl`."""

from backupctl.commands import main

if __name__ == "__main__":
    main()
