"""What Django imports once its settings are known: the routes, and the claims of ID tokens."""

from django.contrib.auth.views import LoginView
from django.urls import include, path
from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    """Adds the claim that identifies the user. By default there is nothing but `sub`, the key of the row."""

    oidc_claim_scope = None

    def get_additional_claims(self):
        return {"preferred_username": lambda request: request.user.get_username()}


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("sign-in", LoginView.as_view(template_name="sign-in.html")),
]
