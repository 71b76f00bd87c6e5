"""Sign-up: an e-mail address, a password and a handle, in one form and one transaction."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from server.accounts import actions, addresses
from server.accounts.models import Account, User
from server.core import limits
from server.core.errors import Conflict, Invalid


class HandleForm(forms.Form):
    """The field that sign-up needs beside e-mail and password; allauth builds its form on this one."""

    handle = forms.CharField(
        max_length=limits.HANDLE_CHARACTERS_MAX,
        help_text="Your public name here. Letters, digits and underscores; it cannot be changed later.",
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "placeholder": "river_cat"}
        ),
    )
    field_order = ["handle", "email", "password1"]

    def clean_handle(self) -> str:
        """Refuse what cannot be a handle, and one that is taken."""
        handle: str = self.cleaned_data["handle"].strip().removeprefix("@")
        try:
            addresses.check_handle(handle)
        except (Invalid, Conflict) as error:
            raise forms.ValidationError(str(error)) from error
        if Account.objects.filter(handle__iexact=handle, domain="").exists():
            raise forms.ValidationError("This handle is taken. Choose another one.")
        return handle

    def signup(self, request: HttpRequest, user: User) -> None:
        """Nothing is left to do: ``Adapter.save_user`` opened the account in the transaction that made the user."""


class Adapter(DefaultAccountAdapter):
    """Ties allauth's sign-up to our accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 (allauth's signature)
        """The administrator decides."""
        return settings.REGISTRATION_OPEN

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """The best moment to take one's keys is the first; whoever wanted to go elsewhere goes there."""
        wanted = str(super().get_signup_redirect_url(request))
        return f"{reverse('take_keys')}?new" if wanted == "/" else wanted

    def save_user(self, request: HttpRequest, user: User, form: forms.Form, commit: bool = True) -> User:
        """The user and the account, both or neither."""
        try:
            with transaction.atomic():
                super().save_user(request, user, form, commit=commit)
                actions.open_account(user=user, handle=form.cleaned_data["handle"])
        except Conflict as error:
            # Somebody took the handle between the check and now.
            messages.error(request, str(error))
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_signup"))) from error
        return user
