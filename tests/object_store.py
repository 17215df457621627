"""A server that speaks S3's protocol, in this process, and what tests put into it."""

import os
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from blipvino.demo.scenes import render, sample_scene

ACCESS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own.

    Attributes:
        url: ``s3://NAME``.
        client: of botocore, to look at it and to fill it by other means than those under test.
    """

    url: str
    client: object

    @property
    def name(self):
        return self.url.removeprefix("s3://")

    def put(self, key, content=b""):
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return f"{self.url}/{key}"

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def names(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@contextmanager
def object_store():
    """Run the server; the environment of this process, and of those that it starts, leads there."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {**ACCESS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield settings["AWS_ENDPOINT_URL"]
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        server.stop()


def make_bucket(endpoint, name):
    from botocore.session import get_session

    client = get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=ACCESS["AWS_DEFAULT_REGION"],
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )
    client.create_bucket(Bucket=name)
    return Bucket(f"s3://{name}", client)


def picture(number):
    """The bytes of a PNG; another one for each number."""
    buffer = BytesIO()
    Image.fromarray(render(sample_scene("test", number))).save(buffer, "PNG")
    return buffer.getvalue()
