"""Stand-in (a): publish if connected, else leave it out. QoS 1; what paho has in flight it sends again after a reconnection."""

from tests.faults.stand_ins.line import new_client, place, verdicts


def main() -> None:
    """Publish each verdict for which there is a connection."""
    here = place()
    client = new_client(here)
    for _, payload in verdicts(here):
        if client.is_connected():
            client.publish(here.topic, payload, qos=1)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
