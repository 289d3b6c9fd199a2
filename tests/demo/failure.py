"""What is raised when the demo cannot show what it promises."""


class DemoError(Exception):
    """Something did not happen, or not in time; the message says what to a person."""
