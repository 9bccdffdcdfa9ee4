"""Stand-in (b): paho's own queue in memory, without bound, QoS 1, one client id, a session that the broker keeps (clean_start False)."""

from tests.faults.stand_ins.line import new_client, place, verdicts


def main() -> None:
    """Hand each verdict to paho, connected or not: it sends what waits when the broker is there."""
    here = place()
    client = new_client(here, session_s=3600)
    for _, payload in verdicts(here):
        client.publish(here.topic, payload, qos=1)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
