"""The one exception that a user can cause."""


class UserError(Exception):
    """One clear sentence that names the thing and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """
