"""The page where people sign in. Pure."""

from controller.dashboard.view import Field, Form, Page


def sign_in_page(following: str, warning: str = "") -> Page:
    """
    Args:
        following: the path to go on to.
    """
    form = Form(
        "/login", "Sign in", "Sign in",
        (Field("token", "Token", kind="password"), Field("next", "", kind="hidden", value=following)),
        "With admin.token you may read and act, with sidecar.token read. Both lie in the controller's state folder.",
        needs_person=False,
    )  # fmt: skip
    return Page("/login", "Sign in", (), warnings=(warning,) if warning else (), forms=(form,))
