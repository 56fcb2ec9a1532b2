"""Make the backends that the settings name. None is asked anything yet: one that is down must not keep a peer from starting."""

from collections.abc import Collection

from node.backend_settings import BackendSettings
from node.errors import Failed
from store.backends import Backend, Credentials, guarded, kubo_backend, local_backend, s3_backend
from store.errors import BackendRefused


def make_backends(settings: BackendSettings, allowed: Collection[str] | None) -> dict[str, Backend]:
    """Backends by kind, those that are configured and allowed here.

    Raises:
        Failed: a setting is not one that the backend can be made of. Of one that is not allowed nothing is asked.
    """
    made: dict[str, Backend] = {}

    def may(kind: str) -> bool:
        return allowed is None or kind in allowed

    try:
        if settings.local_directory is not None and may("local"):
            made["local"] = guarded(local_backend(settings.local_directory))
        if settings.s3_url is not None and may("s3"):
            made["s3"] = guarded(_s3(settings, settings.s3_url))
        if settings.kubo_api is not None and may("kubo"):
            secret = settings.kubo_authorization
            headers = {} if secret is None else {"Authorization": secret}
            made["kubo"] = guarded(kubo_backend(settings.kubo_api, headers=headers))
    except BackendRefused as error:
        raise Failed(str(error), hint=error.hint or None) from error
    return made


def _s3(settings: BackendSettings, url: str) -> Backend:
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    credentials = None if key is None or secret is None else Credentials(key, secret)
    return s3_backend(url, endpoint=settings.s3_endpoint, region=settings.s3_region, credentials=credentials)
