"""Clients of a running stack's Temporal."""

from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import TLSConfig

from devstack.running import Addresses


async def client_of(stack: Addresses, address: str = "", **options: Any) -> Client:
    """Connect to a stack, or to another address as if it were the stack's; `options` are those of Client.connect."""
    return await Client.connect(
        address or stack.temporal_address,
        **{
            "namespace": stack.temporal_namespace,
            "data_converter": pydantic_data_converter,
            "tls": tls(stack),
            "api_key": stack.temporal_api_key,
            **options,
        },
    )


def tls(stack: Addresses) -> TLSConfig | bool:
    """Return what a client of the stack needs of TLS; False where there is none."""
    if stack.temporal_tls_ca is None:
        return False
    return TLSConfig(
        server_root_ca_cert=Path(stack.temporal_tls_ca).read_bytes(),
        domain=stack.temporal_tls_server_name,
        client_cert=_content(stack.temporal_tls_cert),
        client_private_key=_content(stack.temporal_tls_key),
    )


def _content(file: str | None) -> bytes | None:
    return Path(file).read_bytes() if file else None
