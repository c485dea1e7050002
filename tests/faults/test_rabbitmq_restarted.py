"""RabbitMQ goes away and comes back: the RPC service reconnects by itself, and ends when it is told to."""

import time

from tests.faults.processes import RpcProcess, Servers, rpc_processes


def test_it_leaves_while_rabbitmq_is_down(servers: Servers) -> None:
    with rpc_processes(servers) as [rpc]:
        servers.rabbitmq.kill()
        try:
            time.sleep(3)  # it is between two attempts to reconnect, which come further and further apart
            assert rpc.leave(within=8) == 0
        finally:
            servers.rabbitmq.start_again()


def test_it_leaves_though_rabbitmq_was_never_there(servers: Servers) -> None:
    with RpcProcess(servers, amqp_uri="amqp://guest:guest@127.0.0.1:1") as rpc:
        time.sleep(2)
        assert rpc.leave(within=8) == 0
