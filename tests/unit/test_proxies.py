"""Which proxy leads where: URLs and variables as curl and git read them."""

from __future__ import annotations

import pytest

from agent.proxies import Proxy, parse_proxy, proxy_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy:3128", Proxy("http", "proxy", 3128)),
        ("proxy:3128", Proxy("http", "proxy", 3128)),
        ("proxy", Proxy("http", "proxy", 1080)),
        ("ada:se%40cret@proxy:1", Proxy("http", "proxy", 1, "ada", "se@cret")),
        ("https://proxy", Proxy("https", "proxy", 443)),
        ("socks5h://ada:x@proxy/", Proxy("socks5h", "proxy", 1080, "ada", "x")),
        ("socks4://[2001:db8::1]:99", Proxy("socks4", "2001:db8::1", 99)),
    ],
)
def test_a_proxys_url_is_read(text: str, expected: Proxy) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://ada:hunter2@proxy", "scheme 'ftp' is not offered"),
        ("http://ada:hunter2@", "names no host"),
        ("http://ada:hunter2#x@proxy:3128", "percent-encode the password"),
        ("http://ada:hunter2@proxy:port", "percent-encode the password"),
    ],
)
def test_a_broken_url_is_refused_without_its_password(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_proxy(text)
    assert "hunter2" not in str(caught.value)


def test_no_text_of_a_proxy_shows_its_password() -> None:
    proxy = parse_proxy("socks5://ada:hunter2@[2001:db8::1]:99")
    assert proxy.redacted() == "socks5://[2001:db8::1]:99"
    assert "hunter2" not in repr(proxy)


@pytest.mark.parametrize(
    ("scheme", "environment", "expected"),
    [
        pytest.param("https", {}, "", id="none"),
        pytest.param("https", {"HTTPS_PROXY": "a"}, "a", id="upper"),
        pytest.param("https", {"HTTPS_PROXY": "a", "https_proxy": "b"}, "b", id="lower-first"),
        pytest.param("https", {"http_proxy": "a"}, "", id="other-scheme"),
        pytest.param("http", {"http_proxy": "a"}, "a", id="http"),
        pytest.param("http", {"HTTP_PROXY": "a"}, "", id="http-not-upper"),
        pytest.param("https", {"ALL_PROXY": "a"}, "a", id="all"),
        pytest.param("https", {"ALL_PROXY": "a", "https_proxy": "b"}, "b", id="own-before-all"),
        pytest.param("ssh", {"ALL_PROXY": "socks5://a"}, "socks5://a", id="ssh-socks"),
        pytest.param("ssh", {"all_proxy": "http://a"}, "", id="ssh-not-http"),
        pytest.param("ssh", {"HTTPS_PROXY": "socks5://a"}, "", id="ssh-not-https"),
    ],
)
def test_the_environment_names_a_proxy(
    scheme: str, environment: dict[str, str], expected: str
) -> None:
    assert proxy_in(environment, scheme=scheme, host="git.example.org", port=443) == expected


@pytest.mark.parametrize(
    ("excepted", "host", "port", "direct"),
    [
        ("*", "git.example.org", 443, True),
        ("example.org", "git.example.org", 443, True),
        (".example.org", "git.example.org", 443, True),
        (".example.org", "example.org", 443, True),
        ("*.example.org", "git.example.org", 443, True),
        ("example.org", "badexample.org", 443, False),
        ("a.org, EXAMPLE.org", "example.org", 443, True),
        ("a.org example.org", "example.org", 443, True),
        ("example.org:443", "example.org", 443, True),
        ("example.org:8443", "example.org", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("127.0.0.1", "127.0.0.1", 443, True),
        ("127.0.0.1:8443", "127.0.0.1", 443, False),
        ("127.0.0.1:443", "127.0.0.1", 443, True),
        ("[2001:db8::1]", "2001:db8::1", 443, True),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("", "example.org", 443, False),
        (",", "example.org", 443, False),
        (".", "example.org", 443, False),
    ],
)
def test_no_proxy_leads_to_what_is_excepted(
    excepted: str, host: str, port: int, direct: bool
) -> None:
    environment = {"https_proxy": "p", "NO_PROXY": excepted}
    assert (proxy_in(environment, scheme="https", host=host, port=port) == "") is direct
