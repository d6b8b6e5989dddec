"""Errors: a mistake of the user, in one sentence, is distinct from a defect of ours."""


class UserError(ValueError):
    """A mistake that its user can mend: one sentence that names what is wrong and what is allowed.

    The command line shows the sentence and exits with 2. All other exceptions are defects of ours:
    they show their traceback and exit with 1.
    """


class ConfigError(UserError):
    """A mistake in a configuration: names the key, the value and what is allowed."""
