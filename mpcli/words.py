"""Words that messages for people share, whichever room they come from."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 message`, `2 messages`; `many` where a plural takes more than an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
