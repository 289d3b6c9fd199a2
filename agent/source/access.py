"""Access: the credentials of one repository, from poll to poll.

Duty: decide when they are read anew, complete them for the URL, and say what is wrong with them in
words about the repository. A poll that only lists refs costs no request for a Secret.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from agent.aio.detached import in_own_thread
from agent.source.errors import AuthError, CredentialsError, FetchTimeout, SecretError
from agent.source.fetcher import Deadline
from agent.source.login import sshkeys
from agent.source.login.credentials import CredentialProvider, Credentials, for_url
from agent.source.login.known_hosts import keyscan_command, machine_known_hosts
from agent.source.url import GitUrl


class Access:
    """Hands out credentials that are ready to be shown to the server of one URL.

    What the provider remembers is good enough to list refs as long as all goes well: it is read
    anew for a fetch, after any failure, and when the caller says so.
    """

    def __init__(self, url: GitUrl, provider: CredentialProvider) -> None:
        self._url = url
        self._provider = provider
        self._trusted = False
        self._is_fresh = False
        self._ready = Credentials()
        self._key_as_given = Credentials()
        self._key_as_prepared = Credentials()

    async def begin(self, deadline: Deadline, *, fresh: bool) -> Credentials:
        """Return credentials to begin a poll with; raise AuthError, FetchTimeout."""
        fresh = fresh or not self._trusted
        self._trusted = False
        return await self._get(deadline, fresh=fresh)

    async def for_fetch(self, deadline: Deadline) -> Credentials:
        """Return credentials that were read in this poll; raise AuthError, FetchTimeout."""
        return self._ready if self._is_fresh else await self._get(deadline, fresh=True)

    async def after_refusal(self, deadline: Deadline) -> Credentials | None:
        """Return other credentials than those refused, None when there are none.

        Only what was remembered is read again; raises AuthError, FetchTimeout.
        """
        refused = self._ready
        if not self._provider.refused():
            return None
        renewed = await self._get(deadline, fresh=True)
        return renewed if renewed != refused else None

    def worked(self) -> None:
        """Note that a poll went well to its end."""
        self._trusted = True

    async def _get(self, deadline: Deadline, *, fresh: bool) -> Credentials:
        try:
            async with asyncio.timeout(deadline.left()):
                self._ready = await self._completed(await self._provider.get(fresh=fresh))
        except TimeoutError:
            raise FetchTimeout(
                self._url.redacted(),
                f"the credentials were not there within {deadline.seconds:g}s",
                hint="check where the track has them from: files and what they are on, the API "
                "server for a Secret, the forge for a GitHub App",
            ) from None
        except CredentialsError as error:
            origin = " from secret" if isinstance(error, SecretError) else ""
            raise AuthError(
                self._url.redacted(), f"unable to retrieve git credentials{origin}: {error}"
            ) from error
        self._is_fresh = fresh
        return self._ready

    async def _completed(self, given: Credentials) -> Credentials:
        credentials = for_url(given, self._url)
        if not self._url.is_ssh:
            return credentials
        credentials = await self._with_readable_key(credentials)
        trusted = credentials.known_hosts
        if not trusted.strip():
            trusted = await self._machine_known_hosts()
        # To libssh2 a carriage return would be a part of the key.
        return replace(credentials, known_hosts="\n".join([*trusted.splitlines(), ""]))

    async def _with_readable_key(self, credentials: Credentials) -> Credentials:
        """Prepare the key once, not at each poll: that may take a tenth of a second."""
        as_given = Credentials(secret=credentials.secret, passphrase=credentials.passphrase)
        if as_given != self._key_as_given:
            self._key_as_prepared = await asyncio.to_thread(sshkeys.prepared, as_given)
            self._key_as_given = as_given
        ready = self._key_as_prepared
        return replace(credentials, secret=ready.secret, passphrase=ready.passphrase)

    async def _machine_known_hosts(self) -> str:
        trusted = await in_own_thread(machine_known_hosts, lambda: machine_known_hosts(os.environ))
        if trusted.strip():
            return trusted
        command = keyscan_command(self._url.host, self._url.port)
        raise AuthError(
            self._url.redacted(),
            "there is no known_hosts, so the server's host key cannot be verified",
            hint=f"make one with `{command} > known_hosts`, compare the fingerprint with the "
            "server's owner, and give it to the track or put it in ~/.ssh/known_hosts",
        )
