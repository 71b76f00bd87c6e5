"""Forms of the pages: what people may write, and how much of it. The rules themselves stand in the actions."""

from django import forms
from django.conf import settings

from server.core import limits
from server.core.errors import TributaryError
from server.moderation.models import Report
from server.videos.drafts import VideoDraft


def put_error(form: forms.Form, error: TributaryError) -> None:
    """Show an action's refusal beside the field it names, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


class WordsForm(forms.Form):
    """What is said about a video, before and after its upload."""

    caption = forms.CharField(
        required=False,
        max_length=limits.CAPTION_CHARACTERS_MAX,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "What is it about? #hashtags help people find it."}),
        help_text="Hashtags and @mentions become links.",
    )
    alt_text = forms.CharField(
        label="Description for people who cannot see it",
        required=False,
        max_length=limits.ALT_TEXT_CHARACTERS_MAX,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "What happens in the picture, in a sentence or two."}),
        help_text="Screen readers read it aloud. It also helps when the video cannot load.",
    )
    sensitive = forms.BooleanField(
        label="Sensitive", required=False, help_text="It stays covered until somebody chooses to look."
    )
    comments_open = forms.BooleanField(label="Comments open", required=False, initial=True)


class UploadForm(WordsForm):
    """A file and its words."""

    file = forms.FileField(
        label="Video file",
        widget=forms.ClearableFileInput(attrs={"accept": ".mp4,.mov,.webm,video/mp4,video/quicktime,video/webm"}),
        error_messages={"required": "Choose a video file.", "empty": "The file is empty. Choose another one."},
    )
    visibility = forms.ChoiceField(
        choices=[("public", "Public: in feeds, here and on other servers"), ("unlisted", "Unlisted: only with the link")],
        initial="public",
        required=False,
    )
    publish_when_ready = forms.BooleanField(
        label="Publish when ready", required=False, initial=True, help_text="Else it waits in your studio."
    )
    field_order = ["file", "caption", "alt_text"]

    def draft(self) -> VideoDraft:
        """The words and choices of a valid form."""
        data = self.cleaned_data
        return VideoDraft(
            caption=data["caption"],
            alt_text=data["alt_text"],
            sensitive=data["sensitive"],
            visibility=data["visibility"] or "public",
            comments_open=data["comments_open"],
            publish_when_ready=data["publish_when_ready"],
        )


class ProfileForm(forms.Form):
    """What others see of somebody."""

    avatar = forms.FileField(
        label="Picture",
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
        help_text="JPEG, PNG or WebP. It is cut to a square.",
    )
    display_name = forms.CharField(
        label="Name",
        required=False,
        max_length=limits.DISPLAY_NAME_CHARACTERS_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    bio = forms.CharField(
        required=False,
        max_length=limits.BIO_CHARACTERS_MAX,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Links become links.",
    )
    manually_approves_followers = forms.BooleanField(
        label="Approve followers myself", required=False, help_text="New followers wait until you let them in."
    )


class ReportForm(forms.Form):
    """What is wrong, for the staff of this instance."""

    reason = forms.ChoiceField(label="What is wrong?", choices=Report.REASONS, widget=forms.RadioSelect)
    text = forms.CharField(
        label="Tell us more (optional)",
        required=False,
        max_length=limits.REPORT_CHARACTERS_MAX,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


def upload_limits() -> dict[str, object]:
    """The limits an uploader should know before she begins."""
    return {
        "bytes_max": settings.UPLOAD_BYTES_MAX,
        "mib_max": settings.UPLOAD_BYTES_MAX // limits.MIB,
        "seconds_max": settings.VIDEO_SECONDS_MAX,
    }
