"""The half of a forge that is not git: the API where a GitHub App gets its tokens, over TLS.

It believes an app only by a token signed with the app's private key, as GitHub does, and says what
is wrong with one in the status of its answer.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.gitservers.https import Authority

APP_ID = "1234"
INSTALLATION = "42"
ORGANISATION = "acme"
USER = "ada"


class Forge:
    """One app, installed at one organisation and one user. Use it as an async context manager.

    ``tokens`` is what is handed out, the last one again and again; ``issued`` counts. ``lifetime``
    is that of a token in seconds, ``clock`` by how much the forge's clock is ahead. A token comes
    in so many ``pieces``, with pauses.
    """

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.private_key = self._key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        self.authority = Authority.create(folder)
        self.tokens = ["ghs_first"]
        self.issued = 0
        self.lifetime = 3600.0
        self.clock = 0.0
        self.pieces = 1
        self.requests: list[str] = []
        self.claims: dict[str, Any] = {}
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._believe])
        app.router.add_post("/app/installations/{id}/access_tokens", self._issue)
        app.router.add_get("/{kind:orgs|users}/{owner}/installation", self._find)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        folder = self.authority.folder
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _believe(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={
                    "require": ["iat", "exp", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            return self._answer({"message": "A JSON web token could not be decoded"}, 401)
        now = time.time() + self.clock
        if claims["iat"] > now or not now < claims["exp"] <= now + 600 or claims["iss"] != APP_ID:
            return self._answer({"message": "'Issued at' or 'Expiration' is wrong"}, 401)
        self.claims = claims
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _issue(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["id"] != INSTALLATION:
            return self._answer({"message": "Not Found"}, 404)
        token = self.tokens[min(self.issued, len(self.tokens) - 1)]
        self.issued += 1
        ends = datetime.fromtimestamp(time.time() + self.lifetime, UTC)
        answer = {"token": token, "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self.pieces == 1:
            return self._answer(answer, 201)
        return await self._in_pieces(request, json.dumps(answer).encode())

    async def _in_pieces(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        length = -(-len(body) // self.pieces)
        for start in range(0, len(body), length):
            await response.write(body[start : start + length])
            await asyncio.sleep(0.1)  # longer than the kernel gathers what is sent
        return response

    async def _find(self, request: web.Request) -> web.Response:
        known = {"orgs": ORGANISATION, "users": USER}
        if request.match_info["owner"] != known[request.match_info["kind"]]:
            return self._answer({"message": "Not Found"}, 404)
        return self._answer({"id": int(INSTALLATION)}, 200)

    def _answer(self, body: dict[str, Any], status: int) -> web.Response:
        date = datetime.fromtimestamp(time.time() + self.clock, UTC)
        headers = {"Date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        return web.json_response(body, status=status, headers=headers)
