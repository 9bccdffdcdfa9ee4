"""docs/subscribers.md: its recipes are run as they stand there."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from inspector.edge.payload import ResultPayload
from tests.edge.conftest import Mosquitto, Subscriber, wait_until

PAGE = (Path(__file__).parents[2] / "docs/subscribers.md").read_text(encoding="utf-8")
RESULT = "inspector/v1/plant/press/line1/cell-3/result"


def recipe(kind: str) -> str:
    found = re.search(rf"<!-- test: {kind} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"docs/subscribers.md has no recipe {kind}"
    return found[1]


@pytest.fixture
def publish(broker: Mosquitto) -> Iterator[Callable[..., None]]:
    broker.start()
    client = paho.Client(CallbackAPIVersion.VERSION2, "cell-3", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def publish(*numbers: int) -> None:
        for number in numbers:
            body = {"inspection_id": f"id-{number}", "station": "cell-3", "seq": number, "evaluation": "OK", "label": "good"}
            client.publish(RESULT, json.dumps(body), qos=1).wait_for_publish(10)

    yield publish
    client.disconnect()
    client.loop_stop()


class Recipe:
    """The Python recipe in a process of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.lines = folder, port, folder / "out.txt"
        (folder / "subscriber.py").write_text(recipe("run"), encoding="utf-8")

    def start(self) -> None:
        with self.lines.open("ab") as output:
            command = [sys.executable, "subscriber.py", "127.0.0.1", str(self.port)]
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def printed(self) -> list[str]:
        return self.lines.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def python_recipe(tmp_path: Path, broker: Mosquitto, publish: Callable[..., None]) -> Iterator[Recipe]:
    program = Recipe(tmp_path, broker.port)
    program.start()
    yield program
    program.kill()


def missing(program: Recipe) -> list[Any]:
    """Run the page's query for gaps."""
    query = re.search(r"\n    (SELECT topic.*?)\n\n", PAGE, re.DOTALL)
    assert query
    database = sqlite3.connect(program.folder / "verdicts.db")
    try:
        return database.execute(query[1]).fetchall()
    finally:
        database.close()


def line(number: int) -> str:
    return f"cell-3 {number} OK good"


def test_the_python_recipe_shows_each_verdict_once_over_a_kill_and_asks_for_what_is_missing(
    python_recipe: Recipe, publish: Callable[..., None], broker: Mosquitto, subscribe: Callable[[int, str], Subscriber]
) -> None:
    asked = subscribe(broker.port, RESULT.replace("result", "cmd/replay"))

    def has_subscribed() -> bool:
        publish(7)
        return python_recipe.printed() == [line(7)]

    wait_until(has_subscribed)
    publish(8, 8)
    wait_until(lambda: python_recipe.printed() == [line(7), line(8)])
    python_recipe.kill()
    publish(8, 9)
    python_recipe.start()
    publish(12)
    wait_until(lambda: len(python_recipe.printed()) == 4)
    wait_until(lambda: asked.bodies("cmd/replay") == [{"from_seq": 10, "to_seq": 11}])
    assert missing(python_recipe) == [(RESULT, 10, 11)]
    publish(10, 11, 12)
    wait_until(lambda: python_recipe.printed() == [line(number) for number in (7, 8, 9, 12, 10, 11)])
    assert missing(python_recipe) == []


def test_the_flow_hangs_together_and_keeps_its_session() -> None:
    nodes = {node["id"]: node for node in json.loads(recipe("flow"))}
    for node in nodes.values():
        assert {target for wire in node.get("wires", []) for target in wire} <= nodes.keys()
        assert node.get("broker", "insp-broker") in {*nodes, "127.0.0.1"}
    broker = nodes["insp-broker"]
    assert (broker["cleansession"], broker["autoUnsubscribe"], broker["clientid"]) == (False, False, "node-red-verdicts")
    assert nodes["insp-in"]["qos"] == "1"


def test_the_flows_function_lets_each_verdict_through_once_and_asks_for_what_is_missing() -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    function = next(node for node in json.loads(recipe("flow")) if node["type"] == "function")["func"]
    program = f"""
        const kept = {{}}, flow = {{get: key => kept[key], set: (key, value) => {{ kept[key] = value; }}}};
        const body = new Function('msg', 'flow', {json.dumps(function)});
        const out = [4, 5, 5, 8, 6, 7, 8, 9].map(seq =>
            body({{topic: '{RESULT}', payload: {{seq, inspection_id: 'id-' + seq}}}}, flow));
        console.log(JSON.stringify(out.map(pair => pair && [pair[0].payload.seq, pair[1]])));
    """
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    asked = {"topic": RESULT.replace("result", "cmd/replay"), "payload": {"from_seq": 6, "to_seq": 7}}
    assert json.loads(done.stdout) == [[4, None], [5, None], None, [8, asked], [6, None], [7, None], None, [9, None]]


def test_the_telegraf_file_names_fields_that_a_result_has() -> None:
    table: dict[str, Any] = tomllib.loads(recipe("telegraf"))["inputs"]["mqtt_consumer"][0]
    parser = table["json_v2"][0]
    names = {entry["path"] for kind in ("tag", "field") for entry in parser[kind]} | {parser["timestamp_path"]}
    assert names <= {field.alias or name for name, field in ResultPayload.model_fields.items()}
    assert (table["qos"], table["persistent_session"], bool(table["client_id"])) == (1, True, True)


def test_the_plc_recipe_of_the_integrators_page_lets_only_ok_of_a_real_part_through() -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    page = (Path(__file__).parents[2] / "docs/integrator.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- test: plc -->\n```js\n(.*?)```", page, re.DOTALL)
    assert found
    evaluations = ["OK", "NotOK", "NotDecidable", "Undefined", "new word"]
    program = f"""
        const kept = {{}}, flow = {{get: key => kept[key], set: (key, value) => {{ kept[key] = value; }}}};
        const body = new Function('msg', 'flow', {json.dumps(found[1])});
        const parts = {json.dumps(evaluations)}.map(evaluation => [evaluation, false]).concat([['OK', true]]);
        const out = parts.map(([evaluation, is_simulated]) => body({{payload: {{evaluation, is_simulated, seq: 1, part_id: 'P'}}}}, flow));
        console.log(JSON.stringify(out.map(msg => [msg.payload.code, msg.payload.beat])));
    """
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[1, True], [2, False], [3, True], [0, False], [0, True], [0, False]]
