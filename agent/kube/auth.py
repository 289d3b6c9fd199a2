"""Who we are to the API server: kubeconfig (with exec plug-ins) or the pod's service account.

kubernetes-asyncio does the reading. Only its configuration modules are imported: the package's own
``__init__`` would load a thousand generated models (34 MB, 0.3 s; python_ecosystem section 1.2).
It makes no request here; requests are ``kube.transport``'s.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import ssl
import sys
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from agent.authorities import locations
from agent.kube.errors import AuthError
from agent.proxies import Proxy, parse_proxy, proxy_in

_LOAD_DEADLINE = 30.0  # seconds; an exec plug-in that waits for a browser must not hang the agent
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach and convince one API server.

    ``authorization()`` gives the header's value, or None with client certificates; an in-cluster
    token is read again at most once a minute, so rotation needs no restart. ``proxy`` leads
    there, by the kubeconfig or the environment.
    """

    host: str
    ssl: ssl.SSLContext | bool
    server_hostname: str | None
    proxy: Proxy | None
    configuration: Any

    def authorization(self) -> str | None:
        """Return the Authorization header to send now. Raises AuthError."""
        configuration = self.configuration
        if configuration.refresh_api_key_hook is not None:
            try:
                configuration.refresh_api_key_hook(configuration)
            except (OSError, _configuration_modules()[1].ConfigException) as error:
                raise AuthError(f"the service account's token cannot be read: {error}") from error
        token = configuration.api_key.get("BearerToken")
        return str(token).strip() if token else None


async def load(*, kubeconfig: str = "", context: str = "") -> Access:
    """Find the API server: the given file, else the pod's service account, else ~/.kube/config.

    Raises AuthError with what was tried when there is none or it cannot be used.
    """
    if kubeconfig and not await asyncio.to_thread(_any_exists, kubeconfig):
        raise AuthError(_explain(kubeconfig, context, "there is no such file"))
    configuration_class, config = _configuration_modules()
    configuration = configuration_class()
    in_pod = await asyncio.to_thread(os.path.exists, _SERVICE_ACCOUNT)
    try:
        async with asyncio.timeout(_LOAD_DEADLINE):
            if not kubeconfig and not context and in_pod:
                config.incluster_config.load_incluster_config(client_configuration=configuration)
            else:
                await config.kube_config.load_kube_config(
                    config_file=kubeconfig or None,
                    context=context or None,
                    client_configuration=configuration,
                    persist_config=False,  # a kubeconfig is its owner's
                )
    except TimeoutError as error:
        raise AuthError(
            f"the credential plug-in of {kubeconfig or 'the kubeconfig'} gave no answer within "
            f"{_LOAD_DEADLINE:.0f} s; run kubectl with the same file to see what it waits for"
        ) from error
    except (config.config_exception.ConfigException, OSError, ValueError, TypeError) as error:
        raise AuthError(_explain(kubeconfig, context, error)) from error
    try:
        return _access(configuration)
    finally:
        # The loader writes a client's key into a temporary file, for the TLS context that now has
        # it, and would leave it there when the process is killed.
        config.kube_config._cleanup_temp_files()


def _any_exists(kubeconfig: str) -> bool:
    """Tell whether there is a file to read; KUBECONFIG may name several, as in PATH."""
    return any(os.path.isfile(path) for path in kubeconfig.split(os.pathsep))


def _explain(kubeconfig: str, context: str, error: object) -> str:
    tried = kubeconfig or "the pod's service account (not in a pod) and ~/.kube/config"
    where = f"{tried}, context {context!r}" if context else tried
    return (
        f"no usable access to a Kubernetes API server in {where}: {error}; "
        "set --kubeconfig or KUBECONFIG, or run in a pod with a service account"
    )


def _access(configuration: Any) -> Access:
    host = str(configuration.host).rstrip("/")
    return Access(
        host=host,
        ssl=_tls(configuration),
        server_hostname=configuration.tls_server_name,
        proxy=_proxy(configuration.proxy, host),
        configuration=configuration,
    )


def _proxy(configured: str | None, host: str) -> Proxy | None:
    """Return the proxy the kubeconfig or else the environment names, as client-go reads both.

    Of the environment HTTPS_PROXY, http_proxy and NO_PROXY count, ALL_PROXY does not. Raises
    AuthError, which quotes no password.
    """
    server = urlsplit(host)
    environment = {name: value for name, value in os.environ.items() if name.lower() != "all_proxy"}
    text = configured or proxy_in(
        environment, scheme=server.scheme, host=server.hostname or "", port=server.port
    )
    if not text:
        return None
    where = "proxy-url of the kubeconfig" if configured else "HTTPS_PROXY"
    try:
        proxy = parse_proxy(text, port=80)
    except ValueError as error:
        raise AuthError(f"{where}, the proxy to the API server, cannot be used: {error}") from None
    if proxy.is_socks:
        raise AuthError(
            f"{where} is {proxy.redacted()}: the API server is reached through http or https "
            "proxies only; name one, or have NO_PROXY name the API server"
        )
    return proxy


def _tls(configuration: Any) -> ssl.SSLContext | bool:
    if not str(configuration.host).startswith("https://"):
        return False
    try:
        own = configuration.ssl_ca_cert
        tls = ssl.create_default_context(**({"cafile": own} if own else locations()))
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (OSError, ssl.SSLError) as error:
        raise AuthError(f"the certificates of the kubeconfig cannot be used: {error}") from error
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return tls


def _configuration_modules() -> tuple[Any, ModuleType]:
    """Import kubernetes_asyncio's configuration and config modules, and nothing else of it."""
    if "kubernetes_asyncio" not in sys.modules:
        spec = importlib.util.find_spec("kubernetes_asyncio")
        if spec is None or not spec.submodule_search_locations:
            raise AuthError("the package kubernetes_asyncio is not installed")
        root = spec.submodule_search_locations[0]
        _stand_in("kubernetes_asyncio", root)
        client = _stand_in("kubernetes_asyncio.client", os.path.join(root, "client"))
        from kubernetes_asyncio.client.configuration import Configuration

        client.Configuration = Configuration  # type: ignore[attr-defined]  # names it looks up
        client.ApiClient = object  # type: ignore[attr-defined]  # only in an annotation
    from kubernetes_asyncio import config
    from kubernetes_asyncio.client.configuration import Configuration
    from kubernetes_asyncio.config import config_exception, incluster_config, kube_config

    _ = incluster_config  # an attribute of config from here on
    refuse = partial(_refuse_to_refresh, config_exception.ConfigException)
    kube_config.OpenIDRequestor = refuse  # type: ignore[attr-defined,assignment]
    return Configuration, config


def _refuse_to_refresh(failure: type[Exception], *_: object) -> NoReturn:
    """Stand in for what would refresh the token of ``auth-provider: oidc``.

    It would send the refresh token to whoever answers for the issuer, for it verifies no
    certificate, and what it gets it could not keep.
    """
    raise failure(
        "the id-token of its auth-provider oidc is missing or has expired, and the agent does not "
        "refresh it: run kubectl with this file, which does, or have the user log in by an exec "
        "plug-in"
    )


def _stand_in(name: str, path: str) -> ModuleType:
    """Register an empty package, so that its submodules import without its ``__init__``."""
    module = ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module
