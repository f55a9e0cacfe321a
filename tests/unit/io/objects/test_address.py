"""Which addresses can be read, and what is said about all others, without repeating a secret."""

import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.objects.address import Address, address_of


@pytest.mark.parametrize(
    ("text", "scheme", "url"),
    [
        ("s3://bucket/region", "s3", "s3://bucket/region"),
        ("S3://bucket/a/region/", "s3", "s3://bucket/a/region"),
        ("gs://bucket/region", "gs", "gs://bucket/region"),
        ("https://example.org:8443/data/region//", "https", "https://example.org:8443/data/region"),
        ("http://127.0.0.1:9000/region", "http", "http://127.0.0.1:9000/region"),
        ("http://[::1]:9000/region", "http", "http://[::1]:9000/region"),
    ],
)
def test_an_address_is_taken_apart(text, scheme, url):
    found = address_of(text, where="here")

    assert found == Address(scheme, url)
    assert found.of("shards/a.h5") == f"{url}/shards/a.h5"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("output/demo", "output/demo"),
        ("C:/data", "C:/data"),
        ("s3/bucket", "s3/bucket"),
        ("file:///data/a%20b", "/data/a b"),
        ("file://localhost/data", "/data"),
    ],
)
def test_a_path_stays_a_path(text, path):
    assert address_of(text, where="here") == path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s3:/bucket/x", "lost one of its two slashes"),
        ("https:/example.org/x", "lost one of its two slashes"),
        ("/vsis3/bucket/x", "inside GDAL"),
        ("az://container/x", "cannot be read from az://"),
        ("memory:///x", "cannot be read from memory://"),
        ("hdfs://node/x", "cannot be read from hdfs://"),
        ("file://server/share", "server is another machine"),
        ("s3:///region", "cannot be understood"),
        ("s3://bucket/a/../b", "cannot be understood"),
        ("https://[broken/x", "cannot be understood"),
        ("http://example.org/x", "not protected"),
    ],
)
def test_other_addresses_are_refused_by_name(text, told):
    with pytest.raises(ConfigError, match=told) as caught:
        address_of(text, where="here")

    assert caught.value.where == "here"
    assert caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@example.org/x",
        "https://example.org/x?X-Amz-Signature=hunter2",
        "https://example.org/x#hunter2",
        "s3://hunter2@bucket/x",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(text):
    with pytest.raises(ConfigError, match="has a user name") as caught:
        address_of(text, where="here")

    assert "hunter2" not in str(caught.value)
    assert "environment" in caught.value.fix


def test_the_way_to_copy_is_told():
    assert Address("s3", "s3://b/r").copying == "aws s3 sync s3://b/r DIRECTORY"
    assert Address("gs", "gs://b/r").copying == "gcloud storage rsync -r gs://b/r DIRECTORY"
    assert Address("https", "https://e.org/r").copying.startswith("wget --recursive")
